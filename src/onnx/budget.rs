//! What a small device has, and whether a model fits it.

use crate::base::Limits;
use crate::base::language::{Amount, Bytes, bytes, choice, keys, short};

use super::footprint::Footprint;

keys! {
    /// What a small device has, in memory and in work for one item. Arms that need more are marked,
    /// with what they need; nothing is left out because of it.
    pub struct Budget {
        /// Memory for weights, as in `1 MiB`. Neither the file format nor the program that runs the
        /// model is counted.
        flash: Bytes = Bytes(1 << 20),
        /// Memory for activations that are alive at once, as in `256 KiB`.
        ram: Bytes = Bytes(1 << 18),
        /// Multiply–accumulates of one prediction, as in `10 M`.
        macs: Option<Amount> = None,
        /// How numbers are held.
        precision: Precision = Precision::Int8,
    }
}

choice! {
    /// How numbers are held on a device.
    pub enum Precision {
        /// Weights and activations of 8 bits; a scale and a bias of 32 bits for each output channel.
        "int8" => Int8,
        /// All of 32 bits.
        "float32" => Float32,
    }
}

impl Budget {
    /// The numbers of it.
    pub fn limits(&self) -> Limits {
        Limits {
            flash: self.flash.0,
            ram: self.ram.0,
            macs: self.macs.map(|macs| macs.0),
            int8: self.precision == Precision::Int8,
        }
    }
}

impl Footprint {
    /// Bytes of flash and of RAM as a device holds numbers.
    pub fn memory(&self, int8: bool) -> (u64, u64) {
        if int8 { (self.flash_int8, self.ram_int8) } else { (self.flash_f32, self.ram_f32) }
    }

    /// What it needs that a device does not have, in words; nothing if it fits.
    pub fn lacks(&self, limits: &Limits) -> Option<String> {
        let (flash, ram) = self.memory(limits.int8);
        let mut told = Vec::new();
        for (what, needed, there) in [("flash", flash, limits.flash), ("RAM", ram, limits.ram)] {
            if needed > there {
                told.push(format!("{what} {} of {}", bytes(needed), bytes(there)));
            }
        }
        if let Some(there) = limits.macs.filter(|there| self.macs > *there) {
            told.push(format!("MACs {} of {}", short(self.macs), short(there)));
        }
        (!told.is_empty()).then(|| told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::language::defaults;

    #[test]
    fn what_is_lacking_is_told_by_what_is_needed_and_what_is_there() {
        let found = Footprint {
            constants: 400_000,
            flash_f32: 1_600_000,
            flash_int8: 410_000,
            ram_f32: 1 << 20,
            ram_int8: 1 << 18,
            macs: 20_000_000,
        };
        let limits = Budget::limits(&defaults());
        assert_eq!(found.lacks(&limits), None);
        let plain = Limits { int8: false, ..limits };
        assert_eq!(
            found.lacks(&plain).unwrap(),
            "flash 1.53 MiB of 1.00 MiB, RAM 1.00 MiB of 256.0 KiB"
        );
        let slow = Limits { macs: Some(10_000_000), ..limits };
        assert_eq!(found.lacks(&slow).unwrap(), "MACs 20.0 M of 10.0 M");
    }
}
