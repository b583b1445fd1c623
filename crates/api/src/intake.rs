//! How much is taken in at once through hooks: a flood of reports must not take the memory and the connections that
//! everybody else needs. What finds no room is sent away, and comes again.

use crate::problem::Problem;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// So many bodies are held at once.
const READING: usize = 64;
/// So many are worked on at once: less than there are connections to the database.
const WORKING: usize = 4;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// The room there is.
pub(crate) struct Intake {
    reading: Semaphore,
    working: Semaphore,
}

impl Default for Intake {
    fn default() -> Self {
        Self { reading: Semaphore::new(READING), working: Semaphore::new(WORKING) }
    }
}

impl Intake {
    /// Room for a body, until what is given back is dropped.
    pub(crate) fn read(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.reading.try_acquire().map_err(|_| too_many())
    }

    /// A turn at working on what was read.
    pub(crate) async fn work(&self) -> Result<SemaphorePermit<'_>, Problem> {
        match tokio::time::timeout(PATIENCE, self.working.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(too_many()),
        }
    }
}

fn too_many() -> Problem {
    Problem::Unavailable("too many reports at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_is_sent_away_and_finds_it_later() {
        let intake = Intake::default();
        let held: Vec<_> = (0..READING).map(|_| intake.read().unwrap()).collect();
        assert!(matches!(intake.read(), Err(Problem::Unavailable(_))));
        drop(held);
        assert!(intake.read().is_ok());

        let mut turns = Vec::new();
        for _ in 0..WORKING {
            turns.push(intake.work().await.unwrap());
        }
        assert!(matches!(intake.work().await, Err(Problem::Unavailable(_))), "it does not wait for ever");
        turns.pop();
        assert!(intake.work().await.is_ok());
    }
}
