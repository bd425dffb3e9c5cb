//! Names that are told once and then go by a number.

use std::borrow::Cow;
use std::collections::HashMap;

use super::message::Interned;

/// The names of one kind.
#[derive(Default)]
pub(super) struct Names {
    numbers: HashMap<Cow<'static, str>, u64>,
    /// Those that are still to be told.
    pub(super) new: Vec<Interned>,
}

impl Names {
    /// The number of a name; Perfetto takes none below 1.
    pub(super) fn number(&mut self, name: Cow<'static, str>) -> u64 {
        let next = self.numbers.len() as u64 + 1;
        let new = &mut self.new;
        *self.numbers.entry(name).or_insert_with_key(|name| {
            new.push(Interned {
                iid: Some(next),
                name: Some(name.clone().into_owned()),
            });
            next
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_once() {
        let mut names = Names::default();
        let [first, again, other] = ["a", "a", "b"].map(|name| names.number(name.into()));
        assert_eq!([first, again, other], [1, 1, 2]);
        let told: Vec<_> = names.new.iter().map(|name| name.iid).collect();
        assert_eq!(told, [Some(1), Some(2)]);
    }
}
