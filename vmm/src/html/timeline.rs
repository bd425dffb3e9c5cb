//! What each vCPU did over time, and how many IPIs were sent.

use super::time_bins::TimeBins;
use crate::observe::{Clock, Event, Rest, Tsc};
use crate::trace::{Origin, Stamped, Trace, TraceError};

/// What a vCPU's time went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In the guest.
    Guest,
    /// Outside of it, awake.
    Exit,
    /// Asleep: its processor was halted.
    Halted,
    /// Asleep: its processor waited for a start-up IPI.
    Waiting,
}

impl State {
    /// In the order of the picture, from below.
    pub(super) const ALL: [Self; 4] = [Self::Guest, Self::Exit, Self::Halted, Self::Waiting];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Guest => "in the guest",
            Self::Exit => "in exits",
            Self::Halted => "halted",
            Self::Waiting => "waiting for start-up",
        }
    }
}

/// The time of one vCPU, by state and bin.
#[derive(Debug)]
pub(super) struct Band {
    bins: [TimeBins; State::ALL.len()],
    /// Ticks of each state, over the whole run.
    ticks: [u64; State::ALL.len()],
    /// When it was entered last; the run's start before that.
    entered: u64,
    /// It has left the guest.
    ran: bool,
    /// Sleeps since the guest was left.
    sleeps: Vec<(u64, u64)>,
}

/// The run over time.
#[derive(Debug)]
pub struct Timeline {
    clock: Clock,
    pub(super) bands: Vec<Band>,
    sent: TimeBins,
    shift: u32,
    bins: usize,
}

impl Timeline {
    /// Reads it from a trace.
    ///
    /// # Errors
    ///
    /// A damaged trace.
    pub fn of(trace: &Trace) -> Result<Self, TraceError> {
        let clock = trace.header.clock.clock();
        let mut sent = TimeBins::new();
        let mut bands = Vec::new();
        for origin in trace.origins() {
            let mut band = Band::new();
            for stamped in trace.events(origin) {
                let Stamped { at, event } = stamped?;
                if matches!(event, Event::Sent { .. }) {
                    sent.count(clock.elapsed(at));
                }
                band.follow(&event, &clock);
            }
            if let Origin::Vcpu(vcpu) = origin {
                bands.resize_with(bands.len().max(vcpu), Band::new);
                bands.push(band);
            }
        }
        bands.resize_with(bands.len().max(trace.header.run.cpus), Band::new);
        Ok(Self::new(clock, bands, sent))
    }

    fn new(clock: Clock, mut bands: Vec<Band>, mut sent: TimeBins) -> Self {
        let all = || bands.iter().flat_map(|band| &band.bins).chain([&sent]);
        let shift = all().map(TimeBins::shift).max().unwrap_or(0);
        let of_bands = bands.iter_mut().flat_map(|band| &mut band.bins);
        of_bands.for_each(|bins| bins.coarsen(shift));
        sent.coarsen(shift);
        let all = bands.iter().flat_map(|band| &band.bins).chain([&sent]);
        let bins = all.map(TimeBins::len).max().unwrap_or(0);
        Self {
            clock,
            bands,
            sent,
            shift,
            bins,
        }
    }

    /// Number of bins.
    pub(super) const fn bins(&self) -> usize {
        self.bins
    }

    /// How long a bin is.
    pub(super) fn bin_ns(&self) -> u64 {
        self.clock.nanoseconds(1 << self.shift)
    }

    /// How long all of them are.
    pub(super) fn whole_ns(&self) -> u64 {
        self.clock.nanoseconds((self.bins as u64) << self.shift)
    }

    /// IPIs and interrupts of devices sent in a bin.
    pub(super) fn sent(&self, bin: usize) -> u64 {
        self.sent.sum(bin)
    }

    /// How much of a bin a vCPU spent in each state, in thousandths.
    pub(super) fn shares(&self, band: &Band, bin: usize) -> [u64; State::ALL.len()] {
        let ticks = 1u128 << self.shift;
        let share = |state: &TimeBins| u128::from(state.sum(bin)) * 1_000 / ticks;
        band.bins
            .each_ref()
            .map(|state| u64::try_from(share(state)).unwrap_or(0))
    }

    /// How long a vCPU was in each state.
    pub(super) fn times_ns(&self, band: &Band) -> [u64; State::ALL.len()] {
        band.ticks.map(|ticks| self.clock.nanoseconds(ticks))
    }
}

impl Band {
    const fn new() -> Self {
        Self {
            bins: [const { TimeBins::new() }; State::ALL.len()],
            ticks: [0; State::ALL.len()],
            entered: 0,
            ran: false,
            sleeps: Vec::new(),
        }
    }

    fn follow(&mut self, event: &Event, clock: &Clock) {
        let moment = |at: Tsc| clock.elapsed(at);
        match *event {
            Event::Rested { rest, since, ticks } => {
                let state = match rest {
                    Rest::Halted => State::Halted,
                    Rest::WaitingForStartUp => State::Waiting,
                };
                let since = moment(since);
                self.sleep(since, since.saturating_add(ticks), state);
            }
            Event::Exit {
                returned, entered, ..
            } => self.exit(moment(returned), moment(entered)),
            // Sleep before the first entry is in no exit, and hence no event of its own.
            Event::Arrived { arrivals, at } if !self.ran && arrivals.start_page.is_some() => {
                self.add(self.entered, moment(at), State::Waiting);
                self.entered = moment(at);
            }
            _ => {}
        }
    }

    /// Asleep; the exit in which it was is known afterwards.
    fn sleep(&mut self, from: u64, to: u64, state: State) {
        self.add(from, to, state);
        self.sleeps.push((from, to));
    }

    fn exit(&mut self, returned: u64, entered: u64) {
        self.add(self.entered, returned, State::Guest);
        self.add(returned, entered, State::Exit);
        for (from, to) in std::mem::take(&mut self.sleeps) {
            self.take(from.max(returned), to.min(entered), State::Exit);
        }
        self.entered = entered;
        self.ran = true;
    }

    fn add(&mut self, from: u64, to: u64, state: State) {
        self.bins[state as usize].add(from, to);
        let ticks = &mut self.ticks[state as usize];
        *ticks = ticks.saturating_add(to.saturating_sub(from));
    }

    fn take(&mut self, from: u64, to: u64, state: State) {
        self.bins[state as usize].take(from, to);
        let ticks = &mut self.ticks[state as usize];
        *ticks = ticks.saturating_sub(to.saturating_sub(from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Cause;

    const MS: u64 = 1_000_000;

    fn followed(events: &[Event]) -> Timeline {
        let clock = Clock::new(Tsc(0), 1_000_000);
        let mut band = Band::new();
        events.iter().for_each(|event| band.follow(event, &clock));
        Timeline::new(clock, vec![band], TimeBins::new())
    }

    fn exit(returned: u64, entered: u64) -> Event {
        Event::Exit {
            cause: Cause::Hlt,
            returned: Tsc(returned),
            entered: Tsc(entered),
        }
    }

    fn halted(since: u64, ticks: u64) -> Event {
        Event::Rested {
            rest: Rest::Halted,
            since: Tsc(since),
            ticks,
        }
    }

    #[test]
    fn no_event_is_no_time() {
        let timeline = followed(&[]);
        assert_eq!((timeline.bins(), timeline.whole_ns()), (0, 0));
        assert_eq!(timeline.times_ns(&timeline.bands[0]), [0; 4]);
    }

    #[test]
    fn sleep_is_not_counted_as_exit() {
        let timeline = followed(&[
            exit(MS, 2 * MS),
            halted(4 * MS, 3 * MS),
            exit(3 * MS, 8 * MS),
        ]);
        let times = timeline.times_ns(&timeline.bands[0]);
        assert_eq!(times, [2 * MS, 3 * MS, 3 * MS, 0]);
        let shares = |bin| timeline.shares(&timeline.bands[0], bin);
        let sums: u64 = (0..timeline.bins()).flat_map(shares).sum();
        // All of its time but what is rounded down, and what is missing of the last bin.
        let all = timeline.bins() as u64 * 1_000;
        assert!((all - 1_500..=all).contains(&sums), "{sums} of {all}");
    }

    #[test]
    fn a_killed_vcpu_has_the_time_that_it_told() {
        let timeline = followed(&[exit(MS, 2 * MS), halted(2 * MS, MS)]);
        assert_eq!(timeline.times_ns(&timeline.bands[0]), [MS, MS, MS, 0]);
    }

    #[test]
    fn stamps_of_nonsense_are_no_panic() {
        let timeline = followed(&[
            exit(u64::MAX, 0),
            halted(u64::MAX, u64::MAX),
            exit(5, u64::MAX),
        ]);
        assert!(timeline.bins() <= 240);
    }
}
