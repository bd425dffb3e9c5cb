//! Makes a failing script small: halves, quarters and so on of its steps are left out as long as
//! the rest still fails.

use super::generate::Script;

/// The smallest script found, in at most so many tries, that `fails`.
#[must_use]
pub fn shrink(mut script: Script, tries: usize, mut fails: impl FnMut(&Script) -> bool) -> Script {
    let mut tried = 0;
    let mut size = script.steps.len() / 2;
    while size > 0 && tried < tries {
        let mut start = 0;
        while start < script.steps.len() && tried < tries {
            let end = (start + size).min(script.steps.len());
            let mut smaller = script.clone();
            smaller.steps.drain(start..end);
            tried += 1;
            if fails(&smaller) {
                script = smaller;
            } else {
                start = end;
            }
        }
        size /= 2;
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differential::operation::{Action, Operation};

    #[test]
    fn what_does_not_matter_goes() {
        let step = |us| {
            vec![Operation {
                processor: 0,
                action: Action::Delay(us),
            }]
        };
        let script = Script {
            processors: 1,
            start: Vec::new(),
            steps: (0..100).map(step).collect(),
        };
        let has = |script: &Script, us| script.steps.contains(&step(us));
        let small = shrink(script, 1000, |script| has(script, 17) && has(script, 80));
        assert_eq!(small.steps, [step(17), step(80)]);
    }
}
