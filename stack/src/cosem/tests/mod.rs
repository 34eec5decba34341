mod association;
mod classes;
mod from_40;
mod members;
mod profile;
mod push;
mod server;
#[cfg(feature = "alloc")]
mod stream;
#[cfg(feature = "alloc")]
mod table;

use super::{FromData, ToData, TypeError};
use crate::axdr::{Data, Writer};
use std::vec::Vec;

fn written(value: &impl ToData) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let mut writer = Writer::new(&mut buffer);
    value.to_data(&mut writer).unwrap();
    writer.written().to_vec()
}

fn read<'a, T: FromData<'a>>(octets: &'a [u8]) -> Result<T, TypeError> {
    T::from_data(Data::from_slice(octets).unwrap())
}
