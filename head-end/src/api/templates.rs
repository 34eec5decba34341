//! Templates of configurations that the head-end keeps.

use std::borrow::Cow;

use dlms_proto::v1::{
    ConfigurationTemplate, CreateTemplateRequest, JobSpec, ListTemplatesRequest, ListTemplatesResponse, StoredTemplate,
    job_spec::Kind,
};
use jiff::Timestamp;
use prost::Message;
use tonic::Status;

use super::{
    Service,
    jobs::spec,
    parse::{self, Violations, to_timestamp},
    status,
};
use crate::{
    access::Caller,
    meter::MeterId,
    operation::{Guard, MeterAccess, Operation},
    store::{Store, StoreError, TemplateRow},
};

/// Templates on a page where the request does not say, and at most.
const TEMPLATES: (usize, usize) = (50, 500);

/// What a name of a template is.
const FORM: &str = "a template's name has 1 to 63 characters of A-Z a-z 0-9 . _ ~ -";

/// The name and the revision in `templates/{template}` or `templates/{template}/revisions/{revision}`.
fn parse_name(name: &str) -> Result<(String, Option<u32>), String> {
    let form = || "is of the form templates/{template} or templates/{template}/revisions/{revision}".to_owned();
    let rest = name.strip_prefix("templates/").ok_or_else(form)?;
    let (id, revision) = match rest.split_once("/revisions/") {
        Some((id, revision)) => (id, Some(revision.parse().ok().filter(|number| *number > 0).ok_or_else(form)?)),
        None => (rest, None),
    };
    // Names of templates are formed like those of meters.
    MeterId::try_new(id).map(|id| (id.as_str().to_owned(), revision)).map_err(|_| FORM.to_owned())
}

/// A template that may be kept: one that can be planned, and that holds no keys.
fn parse_template(template: Option<&ConfigurationTemplate>) -> Result<Vec<u8>, String> {
    let assignments = spec::template(template)?;
    if Operation::SetAttributes(assignments).has_guard(Guard::Keys) {
        return Err("changes keys, which would lie in clear".to_owned());
    }
    Ok(template.map(Message::encode_to_vec).unwrap_or_default())
}

fn stored(row: &TemplateRow) -> Result<StoredTemplate, Status> {
    let template = ConfigurationTemplate::decode(&row.contents[..]);
    let template = template.map_err(|error| Status::internal(format!("a stored template cannot be read: {error}")))?;
    Ok(StoredTemplate {
        name: format!("templates/{}/revisions/{}", row.name, row.revision),
        template: Some(template),
        revision: row.revision,
        creator: row.creator.clone(),
        create_time: Some(to_timestamp(row.created)),
    })
}

impl<S: Store, A: MeterAccess> Service<S, A> {
    pub(super) async fn add_template(
        &self,
        caller: &Caller,
        request: &CreateTemplateRequest,
    ) -> Result<StoredTemplate, Status> {
        let mut violations = Violations::default();
        let id = MeterId::try_new(&request.template_id).map_err(|_| FORM);
        let id = violations.check("template_id", id);
        let contents = violations.check("template", parse_template(request.template.as_ref()));
        let (id, contents) = violations.finish(id.zip(contents))?;
        let now = Timestamp::now();
        let row = TemplateRow {
            tenant: caller.tenant.clone(),
            name: id.as_str().to_owned(),
            revision: request.revision,
            contents,
            creator: caller.subject.to_string(),
            created: Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now),
        };
        let kept = self.0.head_end.registry().store().add_template(row).await;
        stored(&kept.map_err(|error| status::store(&error, None))?)
    }

    /// A template by its name, which stands in `field`.
    pub(super) async fn stored_template(
        &self,
        caller: &Caller,
        field: &str,
        name: &str,
    ) -> Result<StoredTemplate, Status> {
        let mut violations = Violations::default();
        let parsed = violations.check(field, parse_name(name));
        let (id, revision) = violations.finish(parsed)?;
        let found = self.0.head_end.registry().store().template(caller.tenant.clone(), &id, revision).await;
        match found.map_err(|error| status::store(&error, None))? {
            Some(row) => stored(&row),
            None => Err(status::store(&StoreError::NotFound(name.to_owned()), None)),
        }
    }

    pub(super) async fn stored_templates(
        &self,
        caller: &Caller,
        request: &ListTemplatesRequest,
    ) -> Result<ListTemplatesResponse, Status> {
        let mut violations = Violations::default();
        let after = match request.page_token.as_str() {
            "" => Some(None),
            token => violations.check("page_token", MeterId::try_new(token)).map(|id| Some(id.as_str().to_owned())),
        };
        let after = violations.finish(after)?;
        let size = parse::page_size(request.page_size, TEMPLATES);
        let store = self.0.head_end.registry().store();
        let rows = store.list_templates(caller.tenant.clone(), after, size + 1).await;
        let mut rows = rows.map_err(|error| status::store(&error, None))?;
        let more = rows.len() > size;
        rows.truncate(size);
        let next_page_token = rows.last().filter(|_| more).map(|row| row.name.clone()).unwrap_or_default();
        let templates = rows.iter().map(stored).collect::<Result<_, _>>()?;
        Ok(ListTemplatesResponse { templates, next_page_token })
    }

    pub(super) async fn drop_template(&self, caller: &Caller, name: &str) -> Result<(), Status> {
        let mut violations = Violations::default();
        let parsed = violations.check("name", parse_name(name));
        let (id, revision) = violations.finish(parsed)?;
        let dropped = self.0.head_end.registry().store().delete_template(caller.tenant.clone(), &id, revision).await;
        dropped.map_err(|error| status::store(&error, None))
    }

    /// A specification with the template in it that it names.
    pub(super) async fn with_template<'a>(&self, caller: &Caller, of: &'a JobSpec) -> Result<Cow<'a, JobSpec>, Status> {
        let (template, name) = match &of.kind {
            Some(Kind::ApplyTemplate(of)) => (&of.template, &of.stored),
            Some(Kind::VerifyConfiguration(of)) => (&of.template, &of.stored),
            _ => return Ok(Cow::Borrowed(of)),
        };
        if name.is_empty() {
            return Ok(Cow::Borrowed(of));
        }
        if template.is_some() {
            let mut violations = Violations::default();
            violations.add("spec.stored", "is not possible together with template");
            return violations.finish(None);
        }
        let StoredTemplate { name, template, .. } = self.stored_template(caller, "spec.stored", name).await?;
        let mut of = of.clone();
        match &mut of.kind {
            Some(Kind::ApplyTemplate(of)) => (of.template, of.stored) = (template, name),
            Some(Kind::VerifyConfiguration(of)) => (of.template, of.stored) = (template, name),
            _ => {}
        }
        Ok(Cow::Owned(of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_templates_may_say_the_revision() {
        assert_eq!(parse_name("templates/dc-1"), Ok(("dc-1".to_owned(), None)));
        assert_eq!(parse_name("templates/dc-1/revisions/3"), Ok(("dc-1".to_owned(), Some(3))));
        for wrong in ["dc-1", "templates/", "templates/a b", "templates/a/revisions/0", "templates/a/revisions/x"] {
            assert!(parse_name(wrong).is_err(), "{wrong}");
        }
    }
}
