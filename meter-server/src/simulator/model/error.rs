//! What can be wrong with a model file.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

/// A model file was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{message}", .place.as_ref().map(|place| format!("line {}, column {}: ", place.line, place.column)).unwrap_or_default())]
pub struct ModelError {
    /// Where, if it is at a place.
    pub place: Option<ModelPlace>,
    /// What is wrong there, and what is expected.
    pub message: String,
}

/// A place in a model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPlace {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// The line itself.
    pub text: String,
}

impl ModelError {
    /// The line, counted from 1, where known.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }

    /// The error as compilers write it: `FILE:LINE:COLUMN: MESSAGE`, then the line with a mark under the place.
    #[must_use]
    pub fn in_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        InFile { error: self, file }
    }
}

struct InFile<'a> {
    error: &'a ModelError,
    file: &'a str,
}

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ModelPlace { line, column, text }) = &self.error.place else {
            return write!(f, "{}: {}", self.file, self.error.message);
        };
        writeln!(f, "{}:{line}:{column}: {}", self.file, self.error.message)?;
        let margin = line.to_string();
        let (width, gap) = (margin.len(), " ".repeat(column.saturating_sub(1)));
        write!(f, "{margin} | {text}\n{:width$} | {gap}^", "")
    }
}

/// Places in the text of a model file.
pub(super) struct Places<'a>(pub(super) &'a str);

impl Places<'_> {
    /// An error at `span`.
    pub(super) fn error(&self, span: Range<usize>, message: impl ToString) -> ModelError {
        let before = self.0.get(..span.start).unwrap_or(self.0);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = self.0.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let place = ModelPlace {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            text: line.replace('\t', " "),
        };
        ModelError { place: Some(place), message: message.to_string() }
    }

    /// The parser's error.
    pub(super) fn syntax(&self, error: &toml::de::Error) -> ModelError {
        match error.span() {
            Some(span) => self.error(span, error.message().trim_end()),
            None => ModelError { place: None, message: error.message().trim_end().to_owned() },
        }
    }
}
