//! The target's side of the book: from the drain of the mailbox to the EOI.

use vapic::spec::message::Trigger;
use vapic::{Acceptance, Arrivals};

use super::{Ledger, Owner};
use crate::observe::clock::Tsc;
use crate::observe::count::Count;
use crate::observe::event::Event;
use crate::observe::ipi_id::IpiId;
use crate::observe::kind::{Kind, Line};
use crate::observe::refusal::Refusal;

impl Ledger {
    /// A vector has been drained from the mailbox, at `at`.
    #[inline]
    pub fn drained(&mut self, vector: u8, trigger: Trigger, acceptance: Acceptance, at: Tsc) {
        let id = self.in_flight.take(self.vcpu, Line::Vector(vector));
        self.note(Event::Drained {
            vector,
            trigger,
            acceptance,
            id,
            at,
        });
    }

    pub(super) fn book_drained(&mut self, vector: u8, acceptance: Acceptance, id: Option<IpiId>) {
        match acceptance {
            Acceptance::Accepted => {
                self.counters.add(Count::Accepted(Kind::Vector), 1);
                self.requested[usize::from(vector)] = id.map_or(Owner::Unpaired, Owner::Ipi);
            }
            // The request keeps its owner, the earlier IPI or a local source.
            Acceptance::Merged => self.counters.add(Count::CoalescedAtAccept(Kind::Vector), 1),
            Acceptance::Disabled => self.refused(Kind::Vector, Refusal::Disabled, 1),
            Acceptance::IllegalVector => self.refused(Kind::Vector, Refusal::IllegalVector, 1),
        }
    }

    /// What is no vector has been drained at `at`; an INIT among it has reset the APIC.
    pub fn arrived(&mut self, arrivals: &Arrivals, at: Tsc) {
        self.note(Event::Arrived {
            arrivals: *arrivals,
            at,
        });
        if arrivals.init {
            // An id that is left belongs to what the INIT overtook.
            let _overtaken = self.in_flight.take(self.vcpu, Line::Nmi);
            self.carried_out(Line::Init);
        }
        if arrivals.start_page.is_some() || arrivals.start_up_discarded {
            self.carried_out(Line::StartUp);
        }
    }

    fn carried_out(&mut self, line: Line) {
        let id = self.in_flight.take(self.vcpu, line);
        self.note(Event::CarriedOut { line, id });
    }

    pub(super) fn book_arrived(&mut self, arrivals: &Arrivals) {
        let overtaken = arrivals.overtaken;
        for (kind, count) in [
            (Kind::Nmi, overtaken.nmis),
            (Kind::StartUp, overtaken.start_ups),
            (Kind::Smi, overtaken.smis),
            (Kind::Other, overtaken.ext_ints),
        ] {
            self.refused(kind, Refusal::Init, count.into());
        }
        if arrivals.init {
            self.book_reset();
            self.refused(Kind::Nmi, Refusal::Init, self.nmis_latched);
            self.nmis_latched = 0;
            self.accepted(Kind::Init, 1);
            self.counters.add(Count::Injected(Kind::Init), 1);
        }
        if arrivals.start_page.is_some() {
            self.accepted(Kind::StartUp, 1);
            self.counters.add(Count::Injected(Kind::StartUp), 1);
        }
        if arrivals.start_up_discarded {
            self.refused(Kind::StartUp, Refusal::NotWaitingForSipi, 1);
        }
        self.accepted(Kind::Nmi, arrivals.nmis.into());
        self.nmis_latched += u64::from(arrivals.nmis);
        self.counters.add(
            Count::CoalescedAtAccept(Kind::Nmi),
            arrivals.nmis_merged.into(),
        );
        self.refused(Kind::Smi, Refusal::NotEmulated, arrivals.smi.into());
        self.refused(Kind::Other, Refusal::NotEmulated, arrivals.ext_int.into());
    }

    /// A global disable has cleared the APIC: what waited is gone for that reason, and what was in
    /// service will see no EOI. [`Self::arrived`] does this for an INIT by itself.
    ///
    /// NMIs are latched in the processor: they survive a disable, and go with an INIT alone.
    pub fn apic_reset(&mut self) {
        self.note(Event::Reset);
    }

    pub(super) fn book_reset(&mut self) {
        self.refused(Kind::Vector, Refusal::Init, self.pending(Kind::Vector));
        self.requested.fill(Owner::None);
        let in_service = self
            .in_service
            .iter()
            .filter(|&&owner| owner != Owner::None)
            .count();
        self.counters.add(Count::Abandoned, in_service as u64);
        self.in_service.fill(Owner::None);
    }

    /// A vector has been handed to the processor at `at`; the APIC's time was that of `turn`.
    #[inline]
    pub fn injected(&mut self, vector: u8, at: Tsc, turn: Tsc) {
        let id = self.requested[usize::from(vector)].id();
        self.note(Event::Injected {
            vector,
            id,
            at,
            turn,
        });
    }

    pub(super) fn book_injected(&mut self, vector: u8, now: Tsc) {
        let request = &mut self.requested[usize::from(vector)];
        let owner = match std::mem::replace(request, Owner::None) {
            Owner::None | Owner::Local => {
                self.counters.add(Count::LocalInjected, 1);
                self.counters.add(Count::LocalVector(vector), 1);
                Owner::Local
            }
            ipi @ (Owner::Unpaired | Owner::Ipi(_)) => {
                self.counters.add(Count::Injected(Kind::Vector), 1);
                self.counters.add(Count::InjectedVector(vector), 1);
                self.dated(ipi, now)
            }
        };
        self.in_service[usize::from(vector)] = owner;
    }

    /// A vector of the 8259 has been handed to the processor, past the APIC, which sees no end of it.
    pub fn external_injected(&mut self, vector: u8, turn: Tsc) {
        self.note(Event::ExternalInjected { vector, turn });
    }

    pub(super) fn book_external(&mut self, vector: u8) {
        self.counters.add(Count::LocalInjected, 1);
        self.counters.add(Count::LocalVector(vector), 1);
    }

    /// Records how old an IPI is that is injected at `now`, or that this is not known.
    #[inline]
    fn dated(&mut self, owner: Owner, now: Tsc) -> Owner {
        if let Owner::Ipi(id) = owner
            && let Some(age) = id.age(self.clock.elapsed(now))
        {
            self.durations.send_to_inject.record(age);
            return owner;
        }
        self.counters.add(Count::Unpaired, 1);
        Owner::Unpaired
    }

    /// The guest has ended a vector at `at`, and its `level` is broadcast.
    #[inline]
    pub fn ended(&mut self, vector: u8, level: bool, at: Tsc) {
        let id = self.in_service[usize::from(vector)].id();
        self.note(Event::Ended {
            vector,
            level,
            id,
            at,
        });
    }

    pub(super) fn book_ended(&mut self, vector: u8, now: Tsc) {
        let service = &mut self.in_service[usize::from(vector)];
        match std::mem::replace(service, Owner::None) {
            Owner::None => {}
            Owner::Local => self.counters.add(Count::LocalEnded, 1),
            owner @ (Owner::Unpaired | Owner::Ipi(_)) => {
                self.counters.add(Count::Ended, 1);
                self.counters.add(Count::EndedVector(vector), 1);
                if let Owner::Ipi(id) = owner
                    && let Some(age) = id.age(self.clock.elapsed(now))
                {
                    self.durations.send_to_end.record(age);
                }
            }
        }
    }

    /// One NMI has been handed to the processor at `at`; the APIC's time was that of `turn`.
    ///
    /// One that no IPI brought is a local source's.
    pub fn nmi_injected(&mut self, at: Tsc, turn: Tsc) {
        let id = (self.nmis_latched != 0)
            .then(|| self.in_flight.take(self.vcpu, Line::Nmi))
            .flatten();
        self.note(Event::NmiInjected { id, at, turn });
    }

    pub(super) fn book_nmi(&mut self, id: Option<IpiId>, now: Tsc) {
        if self.nmis_latched == 0 {
            return self.counters.add(Count::LocalInjected, 1);
        }
        self.nmis_latched -= 1;
        self.counters.add(Count::Injected(Kind::Nmi), 1);
        match id.and_then(|id| id.age(self.clock.elapsed(now))) {
            Some(age) => self.durations.nmi_send_to_inject.record(age),
            None => self.counters.add(Count::Unpaired, 1),
        }
    }

    fn accepted(&mut self, kind: Kind, count: u64) {
        self.counters.add(Count::Accepted(kind), count);
    }

    fn refused(&mut self, kind: Kind, refusal: Refusal, count: u64) {
        self.counters.add(Count::Refused(kind, refusal), count);
    }
}
