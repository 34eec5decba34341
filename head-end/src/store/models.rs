//! What was learned of the objects of meters, and values of this installation.

use std::{future::Future, sync::Arc};

use dlms::obis::ObisCode;

use super::StoreError;
use crate::{
    meter::MeterId,
    operation::{ObjectModel, ProfileLayout},
};

/// What was learned of the objects of meters, and values of this installation.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait ModelStore: Send + Sync + 'static {
    /// The object model of a meter.
    ///
    /// # Errors
    /// The store's own.
    fn object_model(&self, id: &MeterId) -> impl Future<Output = Result<Option<ObjectModel>, StoreError>> + Send;

    /// Keeps the object model of a meter, and the layouts in it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the meter is not registered, or the store's own.
    fn save_object_model(
        &self,
        id: &MeterId,
        model: Arc<ObjectModel>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The layout of a profile of a meter.
    ///
    /// # Errors
    /// The store's own.
    fn profile_layout(
        &self,
        id: &MeterId,
        profile: ObisCode,
    ) -> impl Future<Output = Result<Option<ProfileLayout>, StoreError>> + Send;

    /// Keeps the layout of a profile of a meter.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the meter is not registered, or the store's own.
    fn save_profile_layout(
        &self,
        id: &MeterId,
        layout: Arc<ProfileLayout>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The value of `name`, which is kept as `value` if there was none.
    ///
    /// # Errors
    /// The store's own.
    fn instance_value(
        &self,
        name: &'static str,
        value: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, StoreError>> + Send;
}
