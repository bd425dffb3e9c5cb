//! The lines that a guest writes to its marker port, taken apart without trust in any byte.
//!
//! The words are `begin SCENARIO key=value ...`, `end key=value ...`, `mark`, `result SCENARIO
//! key=value ...`, `fail SCENARIO text` and `exit N`, one line each, in printable ASCII.

use serde::Serialize;

/// Longest line in bytes, its newline not counted; a longer one is dropped whole.
pub const LONGEST_LINE: usize = 1000;

/// Longest name of a scenario in bytes.
const LONGEST_NAME: usize = 32;

/// A value that a guest reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A whole number.
    Whole(i64),
    /// A whole number beyond the range of `i64`.
    Large(u64),
    /// A decimal number.
    Decimal(f64),
    /// Anything else.
    Text(String),
}

impl Value {
    fn parse(text: &str) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_number {
            if let Ok(whole) = text.parse() {
                return Self::Whole(whole);
            }
            if let Ok(large) = text.parse() {
                return Self::Large(large);
            }
            if let Ok(decimal) = text.parse() {
                return Self::Decimal(decimal);
            }
        }
        Self::Text(text.to_owned())
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(f),
            Self::Large(large) => large.fmt(f),
            Self::Decimal(decimal) => decimal.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// Keys and values in the order given; a key given again replaces its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }

    /// The keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut fields = Vec::<(String, Value)>::new();
        for word in words {
            let (key, value) = word.split_once('=')?;
            if !is_name(key) {
                return None;
            }
            let value = Value::parse(value);
            match fields.iter_mut().find(|(known, _)| known == key) {
                Some((_, known)) => *known = value,
                None => fields.push((key.to_owned(), value)),
            }
        }
        Some(Self(fields))
    }
}

impl Serialize for Fields {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// One line, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Marker {
    /// A measured phase of this scenario starts.
    Begin(String, Fields),
    /// It ends; the fields are what the guest measured.
    End(Fields),
    /// The moment of the `begin` or `end` that follows, unless another `mark` does.
    Mark,
    /// A result derived from several phases.
    Result(String, Fields),
    /// Something is wrong with this scenario; the text says what.
    Fail(String, String),
    /// The guest is done; 0 is success.
    Exit(u32),
}

impl Marker {
    /// The marker in a line, or `None` if it is not one.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        if line.len() > LONGEST_LINE || !line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?;
        let mut words = line.split_ascii_whitespace();
        let verb = words.next()?;
        let mut scenario = || words.next().filter(|name| is_name(name)).map(str::to_owned);
        Some(match verb {
            "begin" => Self::Begin(scenario()?, Fields::parse(words)?),
            "end" => Self::End(Fields::parse(words)?),
            "mark" => Self::Mark,
            "result" => Self::Result(scenario()?, Fields::parse(words)?),
            "fail" => {
                let scenario = scenario()?;
                Self::Fail(scenario, words.collect::<Vec<_>>().join(" "))
            }
            "exit" => Self::Exit(words.next()?.parse().ok()?),
            _ => return None,
        })
    }
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// A line that is a marker.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// As it was written, without its newline.
    pub text: String,
    /// What it says.
    pub marker: Marker,
}

impl Line {
    /// The line of these bytes.
    ///
    /// # Errors
    ///
    /// It is no marker.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let marker = Marker::parse(bytes).ok_or(Malformed)?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)?;
        Ok(Self { text, marker })
    }
}

/// The line that one vCPU is writing.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    overlong: bool,
}

impl LineBuffer {
    /// An empty line.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(LONGEST_LINE),
            overlong: false,
        }
    }

    /// Adds one byte; the newline yields the line, if it is a marker.
    pub fn push(&mut self, byte: u8) -> Option<Result<Line, Malformed>> {
        if byte != b'\n' {
            if self.bytes.len() < LONGEST_LINE {
                self.bytes.push(byte);
            } else {
                self.overlong = true;
            }
            return None;
        }
        let line = if self.overlong {
            Err(Malformed)
        } else {
            Line::parse(&self.bytes)
        };
        self.bytes.clear();
        self.overlong = false;
        Some(line)
    }
}

/// A line is no marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

#[cfg(test)]
mod tests;
