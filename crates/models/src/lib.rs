//! Models of the engine's protocols, small enough that every order of events can be tried.
//!
//! Each model is told what the product does, takes the product's own rules where they are functions of the domain, and states
//! what must never be. A [twin](delivery::Twin) leaves out one precaution; that the checker then finds how it goes
//! wrong shows that the precaution is needed, and that the model can see it. `docs/models.md` says what each covers and
//! what it leaves away.

pub mod commands;
pub mod delivery;
pub mod exploring;
pub mod launch;
pub mod limits;
