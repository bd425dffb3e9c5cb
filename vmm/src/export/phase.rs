//! The guest's phases as slices.

use super::slice::{Slice, What};
use crate::observe::{Clock, Fields, Marker, Value};
use crate::trace::Mark;

/// The phases in marker lines, in their order; one that is not ended is taken to end with the trace.
pub(super) fn phases(marks: &[Mark], clock: Clock, end: u64) -> Vec<Slice> {
    let mut phases = Vec::new();
    let mut open: Option<Slice> = None;
    let mut close = |open: &mut Option<Slice>, at: u64| {
        if let Some(mut phase) = open.take() {
            phase.to = at.max(phase.from);
            phases.push(phase);
        }
    };
    for mark in marks {
        let (line, at, _) = mark.parts();
        let at = clock.time(at);
        match line.map(|line| line.marker) {
            Ok(Marker::Begin(scenario, labels)) => {
                close(&mut open, at);
                let what = What::Phase(scenario, told(&labels).collect());
                open = Some(Slice::new(at, at, what));
            }
            Ok(Marker::End(results)) => {
                if let Some(What::Phase(_, fields)) = open.as_mut().map(|phase| &mut phase.what) {
                    fields.extend(told(&results));
                }
                close(&mut open, at);
            }
            Ok(Marker::Mark | Marker::Result(..) | Marker::Fail(..) | Marker::Exit(_)) | Err(_) => {
            }
        }
    }
    close(&mut open, end);
    phases
}

fn told(fields: &Fields) -> impl Iterator<Item = (String, Value)> {
    let fields = fields.iter();
    fields.map(|(key, value)| (key.to_owned(), value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{MarkerLine, Tsc};

    fn mark(at: u64, line: &str) -> Mark {
        Mark::new(&MarkerLine::parse(line.as_bytes()), Tsc(at), &[])
    }

    #[test]
    fn phases_have_what_the_guest_says_of_them_and_none_is_left_open() {
        let marks = [
            mark(110, "end stray=1"),
            mark(120, "begin ping way=unicast"),
            mark(130, "end cycles_mean=1500.5"),
            mark(140, "nonsense"),
            mark(150, "begin ping"),
            mark(160, "begin storm"),
        ];
        let clock = Clock::new(Tsc(100), 1_000_000);
        let phases = phases(&marks, clock, 90);
        let text = |text: &str| text.to_owned();
        assert_eq!(
            phases,
            [
                Slice::new(
                    20,
                    30,
                    What::Phase(
                        text("ping"),
                        vec![
                            (text("way"), Value::Text(text("unicast"))),
                            (text("cycles_mean"), Value::Decimal(1500.5)),
                        ]
                    )
                ),
                Slice::new(50, 60, What::Phase(text("ping"), vec![])),
                Slice::new(60, 90, What::Phase(text("storm"), vec![])),
            ]
        );
    }
}
