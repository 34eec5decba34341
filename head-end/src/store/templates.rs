//! Templates of configurations: attributes and the values that meters should have, under a name and a revision.

use std::future::Future;

use jiff::Timestamp;

use super::StoreError;
use crate::meter::Tenant;

/// A revision of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateRow {
    /// Whose it is: each tenant has names of its own, and so have those who have none.
    pub tenant: Option<Tenant>,
    /// Its name.
    pub name: String,
    /// 1 for the first of that name, and one more for each.
    pub revision: u32,
    /// What it says, as the API encodes it.
    pub contents: Vec<u8>,
    /// Who made it.
    pub creator: String,
    /// When.
    pub created: Timestamp,
}

/// Templates of configurations. A revision never changes.
///
/// Durability and cancel safety: see [`Store`](super::Store).
pub trait TemplateStore: Send + Sync + 'static {
    /// Keeps the next revision of a name. Where the revision of `template` is not 0, it must be the next one, or be there
    /// with the same contents, as it is when the caller repeats itself.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where another revision would be the next, or the stated one says something else; the
    /// store's own.
    fn add_template(&self, template: TemplateRow) -> impl Future<Output = Result<TemplateRow, StoreError>> + Send;

    /// A revision of a template; the newest where none is stated.
    ///
    /// # Errors
    /// The store's own.
    fn template(
        &self,
        tenant: Option<Tenant>,
        name: &str,
        revision: Option<u32>,
    ) -> impl Future<Output = Result<Option<TemplateRow>, StoreError>> + Send;

    /// The newest revisions of templates in the order of their names, from the one behind `after`.
    ///
    /// # Errors
    /// The store's own.
    fn list_templates(
        &self,
        tenant: Option<Tenant>,
        after: Option<String>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<TemplateRow>, StoreError>> + Send;

    /// Removes a revision of a template, or all of them. The number of a newest revision that was removed is given again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or the store's own.
    fn delete_template(
        &self,
        tenant: Option<Tenant>,
        name: &str,
        revision: Option<u32>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// How a tenant stands in the store: no tenant has the empty name.
pub(super) fn owner(tenant: Option<&Tenant>) -> &str {
    tenant.map_or("", Tenant::as_str)
}

/// The revision that a new template gets; `None` where the present one is it.
pub(super) fn next(
    template: &TemplateRow,
    newest: u32,
    stated: Option<&TemplateRow>,
) -> Result<Option<u32>, StoreError> {
    if stated.is_some_and(|stated| stated.contents == template.contents) {
        return Ok(None);
    }
    let next = newest.saturating_add(1);
    if template.revision == 0 || (template.revision == next && stated.is_none()) {
        return Ok(Some(next));
    }
    Err(StoreError::Conflict {
        name: format!("templates/{}", template.name),
        found: newest.into(),
        expected: template.revision.saturating_sub(1).into(),
    })
}

pub(super) fn missing(name: &str, revision: Option<u32>) -> StoreError {
    StoreError::NotFound(match revision {
        Some(revision) => format!("templates/{name}/revisions/{revision}"),
        None => format!("templates/{name}"),
    })
}
