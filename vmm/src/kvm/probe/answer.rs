//! What became of a question.

use serde::Serialize;

use super::scratch::Stopped;

/// An answer, or why there is none. As JSON: `{"answer": ...}` or `{"no_answer": "reason"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    /// What the probe saw.
    Answer(T),
    /// What stopped it.
    NoAnswer(String),
}

impl<T> From<Result<T, Stopped>> for Answer<T> {
    fn from(asked: Result<T, Stopped>) -> Self {
        match asked {
            Ok(answer) => Self::Answer(answer),
            Err(stopped) => Self::NoAnswer(stopped.to_string()),
        }
    }
}
