//! The registry and the store as the fleet sees them: [`MeterDirectory`] without its type.

use std::sync::Arc;

use dlms::obis::ObisCode;
use futures_util::future::BoxFuture;

use crate::{
    meter::{CounterId, MeterConfig, MeterId},
    operation::{CounterBlock, MeterDirectory, ObjectModel, ProfileLayout, RequestError},
};

type Answer<'a, T> = BoxFuture<'a, Result<T, RequestError>>;

/// Object-safe mirror of [`MeterDirectory`], so that sessions and actors need no type parameter.
pub(super) trait Directory: Send + Sync {
    fn meter<'a>(&'a self, meter: &'a MeterId) -> Answer<'a, Arc<MeterConfig>>;
    fn keys_proved<'a>(&'a self, meter: &'a MeterId, rotation: &'a str) -> Answer<'a, ()>;
    fn reserve_counters(&self, counter: CounterId) -> Answer<'_, CounterBlock>;
    fn raise_counter(&self, counter: CounterId, seen: u32) -> Answer<'_, ()>;
    fn object_model<'a>(&'a self, meter: &'a MeterId) -> Answer<'a, Option<Arc<ObjectModel>>>;
    fn save_object_model<'a>(&'a self, meter: &'a MeterId, model: Arc<ObjectModel>) -> Answer<'a, ()>;
    fn profile_layout<'a>(&'a self, meter: &'a MeterId, profile: ObisCode) -> Answer<'a, Option<Arc<ProfileLayout>>>;
    fn save_profile_layout<'a>(&'a self, meter: &'a MeterId, layout: Arc<ProfileLayout>) -> Answer<'a, ()>;
}

impl<D: MeterDirectory> Directory for D {
    fn meter<'a>(&'a self, meter: &'a MeterId) -> Answer<'a, Arc<MeterConfig>> {
        Box::pin(MeterDirectory::meter(self, meter))
    }

    fn keys_proved<'a>(&'a self, meter: &'a MeterId, rotation: &'a str) -> Answer<'a, ()> {
        Box::pin(MeterDirectory::keys_proved(self, meter, rotation))
    }

    fn reserve_counters(&self, counter: CounterId) -> Answer<'_, CounterBlock> {
        Box::pin(MeterDirectory::reserve_counters(self, counter))
    }

    fn raise_counter(&self, counter: CounterId, seen: u32) -> Answer<'_, ()> {
        Box::pin(MeterDirectory::raise_counter(self, counter, seen))
    }

    fn object_model<'a>(&'a self, meter: &'a MeterId) -> Answer<'a, Option<Arc<ObjectModel>>> {
        Box::pin(MeterDirectory::object_model(self, meter))
    }

    fn save_object_model<'a>(&'a self, meter: &'a MeterId, model: Arc<ObjectModel>) -> Answer<'a, ()> {
        Box::pin(MeterDirectory::save_object_model(self, meter, model))
    }

    fn profile_layout<'a>(&'a self, meter: &'a MeterId, profile: ObisCode) -> Answer<'a, Option<Arc<ProfileLayout>>> {
        Box::pin(MeterDirectory::profile_layout(self, meter, profile))
    }

    fn save_profile_layout<'a>(&'a self, meter: &'a MeterId, layout: Arc<ProfileLayout>) -> Answer<'a, ()> {
        Box::pin(MeterDirectory::save_profile_layout(self, meter, layout))
    }
}
