//! Who does not fit the budget, told before any work.

use crate::base::Limits;
use crate::stages::{Planned, Site, full_name};

/// A note that names each arm that needs more than there is.
pub(super) fn note(limits: &Limits, site: &mut Site) {
    let of = |planned: &Planned| {
        let size = planned.offers.as_ref()?.classifier.as_ref()?.arm.size?;
        let name = full_name(&planned.stage, &planned.axes);
        Some(format!("`{name}` ({})", size.lacks(limits)?))
    };
    let told: Vec<String> = site.planned.iter().filter_map(of).collect();
    if !told.is_empty() {
        site.note(format!("the budget does not have what these need: {}", told.join("; ")));
    }
}
