//! What a file says about energy.

use crate::base::language::{Above0, keys};

keys! {
    /// What is told of energy beside what the machine counts.
    pub struct EnergySpec {
        /// Grams of CO₂ equivalent for each kilowatt-hour where it is used; 475 is a mean of the
        /// world. Without it no carbon is told.
        carbon: Option<Above0> = None,
        /// Whether energy that cannot be measured is guessed from cores and seconds, at 10 W for each
        /// core. Such numbers are marked `estimated` and are never added to measured ones.
        allow_estimate: bool = false,
        /// Whether the machine is measured for 10 seconds before any work. What it uses at rest is told
        /// beside what the run used, and taken off nothing.
        idle: bool = false,
    }
}
