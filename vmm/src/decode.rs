//! placeholder until the real one is written
use vapic::spec::icr::IcrFormat;
#[derive(Debug, serde::Serialize)]
pub struct Decoded { value: u64 }
impl Decoded { pub fn new(value: u64, _: IcrFormat) -> Self { Self { value } } }
impl std::fmt::Display for Decoded { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { writeln!(f, "{:#x}", self.value) } }
