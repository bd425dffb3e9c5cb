//! From a message to the mailboxes of its targets, with each step in the sender's book.

use std::sync::Arc;

use vapic::spec::message::InterruptMessage;
use vapic::{Fabric, Router};

use crate::observe::{Ledger, Tsc};
use crate::seats::Seats;

/// The way of a vCPU, or of the devices, to all Local APICs of the VM.
pub struct Sender {
    fabric: Arc<Fabric>,
    router: Router,
    seats: Arc<Seats>,
    /// The vCPU whose thread sends; it looks at its own mailbox before it enters the guest again.
    own: Option<usize>,
}

impl Sender {
    /// The way of vCPU `own`, or of the devices.
    #[must_use]
    pub fn new(fabric: Arc<Fabric>, seats: Arc<Seats>, own: Option<usize>) -> Self {
        let router = Router::new(Arc::clone(&fabric), own);
        Self {
            fabric,
            router,
            seats,
            own,
        }
    }

    /// The mailboxes that it sends to.
    #[must_use]
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// Posts the message to every target and kicks it; returns how many there are.
    #[inline]
    pub fn send(&mut self, message: &InterruptMessage, ledger: &mut Ledger, now: Tsc) -> usize {
        let Self {
            fabric,
            router,
            seats,
            own,
        } = self;
        let id = ledger.sent(message, now);
        let mut targets = 0;
        router.for_each_target(message, |target| {
            let Some(mailbox) = fabric.mailbox(target) else {
                return;
            };
            targets += 1;
            ledger.sending(target, message, id);
            ledger.posted(target, message, id, mailbox.post(message));
            if Some(target) != *own {
                ledger.kicked(target, id, seats.kick(target));
            }
        });
        targets
    }
}
