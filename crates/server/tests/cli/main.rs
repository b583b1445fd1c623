//! The program itself: started as a person or a service manager starts it, stopped as they stop it, killed as fate does.

mod demo;
mod doctor;
mod keys;
mod program;
mod serve;
mod up;
mod work;
