//! The interrupts that an APIC has in service, from injection to EOI.

use super::slice::{Arrow, Slice, What};

/// What a vCPU has in service, the highest priority last: as in ISR, each is of a higher class than
/// the one that it interrupts.
#[derive(Default)]
pub(super) struct Services(Vec<Service>);

struct Service {
    vector: u8,
    since: u64,
    arrow: Option<Arrow>,
}

impl Services {
    /// A vector has been handed to the processor; returns what must have ended unseen.
    pub(super) fn begin(&mut self, vector: u8, at: u64, arrow: Option<Arrow>) -> Vec<Slice> {
        let kept = self
            .0
            .iter()
            .take_while(|service| service.vector >> 4 < vector >> 4);
        let unseen = self.end_from(kept.count(), at);
        self.0.push(Service {
            vector,
            since: at,
            arrow,
        });
        unseen
    }

    /// The guest has ended a vector; returns its service last, after what must have ended unseen.
    pub(super) fn end(&mut self, vector: u8, at: u64) -> Vec<Slice> {
        let Some(place) = self.0.iter().rposition(|service| service.vector == vector) else {
            return Vec::new();
        };
        let mut slices = self.end_from(place, at);
        if let Some(What::Service { ended, .. }) = slices.last_mut().map(|last| &mut last.what) {
            *ended = true;
        }
        slices
    }

    /// Nothing is in service any more.
    pub(super) fn clear(&mut self, at: u64) -> Vec<Slice> {
        self.end_from(0, at)
    }

    /// Ends the services from a place on, the innermost first.
    fn end_from(&mut self, place: usize, at: u64) -> Vec<Slice> {
        let ended = self.0.drain(place..).rev();
        ended
            .map(|service| {
                let what = What::Service {
                    vector: service.vector,
                    arrow: service.arrow,
                    ended: false,
                };
                Slice::new(service.since, at.max(service.since), what)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(slices: &[Slice]) -> Vec<(u8, u64, u64, bool)> {
        let show = |slice: &Slice| match slice.what {
            What::Service { vector, ended, .. } => (vector, slice.from, slice.to, ended),
            _ => panic!("{slice:?} is no service"),
        };
        slices.iter().map(show).collect()
    }

    #[test]
    fn a_higher_class_interrupts_and_ends_first() {
        let mut services = Services::default();
        assert!(services.begin(0x41, 10, None).is_empty());
        assert!(services.begin(0x80, 20, None).is_empty());
        assert_eq!(shown(&services.end(0x80, 30)), [(0x80, 20, 30, true)]);
        assert_eq!(shown(&services.end(0x41, 40)), [(0x41, 10, 40, true)]);
        assert!(services.end(0x41, 50).is_empty());
    }

    #[test]
    fn what_could_not_be_in_service_together_ended_unseen() {
        let mut services = Services::default();
        services.begin(0x41, 10, None);
        services.begin(0x80, 20, None);
        let unseen = services.begin(0x42, 30, None);
        assert_eq!(
            shown(&unseen),
            [(0x80, 20, 30, false), (0x41, 10, 30, false)]
        );
        services.begin(0x90, 40, None);
        assert_eq!(
            shown(&services.end(0x42, 50)),
            [(0x90, 40, 50, false), (0x42, 30, 50, true)]
        );
    }

    #[test]
    fn a_reset_and_the_end_of_a_trace_leave_nothing_open() {
        let mut services = Services::default();
        services.begin(0x41, 10, None);
        assert_eq!(shown(&services.clear(15)), [(0x41, 10, 15, false)]);
        assert!(services.clear(20).is_empty());
    }
}
