//! What can be wrong with a model file.

use std::ops::Range;

use thiserror::Error;

/// A model file was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct ModelError {
    /// The line, counted from 1, where known.
    pub line: Option<usize>,
    /// What is wrong there.
    pub message: String,
}

/// Places in the text of a model file.
pub(super) struct Places<'a>(pub(super) &'a str);

impl Places<'_> {
    /// An error at `span`.
    pub(super) fn error(&self, span: Range<usize>, message: impl ToString) -> ModelError {
        let before = self.0.get(..span.start).unwrap_or_default();
        ModelError { line: Some(before.matches('\n').count() + 1), message: message.to_string() }
    }

    /// The parser's error.
    pub(super) fn syntax(&self, error: &toml::de::Error) -> ModelError {
        match error.span() {
            Some(span) => self.error(span, error.message()),
            None => ModelError { line: None, message: error.message().to_owned() },
        }
    }
}
