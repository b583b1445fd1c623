//! Crash points and planted bugs around the worker's ports, in builds with the feature `fault-injection` alone.
//!
//! The points of a delivery, in order: `C0` claimed, `C1` written, `C2` the begin is open, `C3` the sender is reserved,
//! `C4` the begin is committed, `C5` in the body, `C6` before the dot, `C7` after the dot, `C7b` the reply is read,
//! `C8` the reply is in the journal, `C9` the outcome is recorded. Of a launch: `chunk` within one, `between` two. Of a
//! pause: `barrier`, after the status was changed. `C5`, `C7`, `chunk` and `barrier` are in `muster-adapters`.

mod journal;
mod mail;
mod queue;
mod store;
mod tokens;

use muster_adapters::faults::planted;
use muster_domain::usecases::write_letter::Desk;
use muster_worker::deliver::Deliveries;
use muster_worker::worker::WorkerPorts;
use std::sync::Arc;

/// The same ports, with what `CRASH_AT` and `PLANTED_BUG` ask for.
pub fn around(ports: WorkerPorts) -> WorkerPorts {
    let bug = planted();
    let Deliveries { store, transport, journal, desk } = ports.deliveries;
    let deliveries = Deliveries {
        store: Arc::new(store::Faulty::new(store, bug)),
        transport: Arc::new(mail::FaultyTransport { inner: transport, bug }),
        journal: Arc::new(journal::Faulty { inner: journal, bug }),
        desk: Desk { tokens: Arc::new(tokens::Faulty { inner: desk.tokens, bug }), ..desk },
    };
    WorkerPorts { deliveries, queue: Arc::new(queue::Watched { inner: ports.queue }), ..ports }
}
