//! Energy of an NVIDIA GPU since its driver was loaded, by the library of its driver, which is
//! looked for when the program runs.

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

/// A counter of millijoules.
pub(super) trait Counter: Send {
    /// What it stands at.
    fn millijoules(&self) -> Result<u64, String>;
}

/// The first GPU, which is the one that computes.
struct First(Nvml);

impl Counter for First {
    fn millijoules(&self) -> Result<u64, String> {
        let device = self.0.device_by_index(0).map_err(|error| told(&error))?;
        device.total_energy_consumption().map_err(|error| told(&error))
    }
}

/// The counter of the first GPU; or why there is none.
pub(super) fn first() -> Result<Box<dyn Counter>, String> {
    let counter = First(Nvml::init().map_err(|error| told(&error))?);
    counter.millijoules()?;
    Ok(Box::new(counter))
}

fn told(error: &NvmlError) -> String {
    match error {
        NvmlError::NotSupported => "the GPU counts no energy".to_owned(),
        NvmlError::NoPermission => "permission: the GPU's counter is not for everyone".to_owned(),
        other => format!("the GPU's energy cannot be read: {other}"),
    }
}
