//! `plan`: tells what a run would do, and does no work.

use std::path::Path;
use std::sync::Arc;

use crate::console;
use crate::pipeline::forecast;
use crate::store::Store;

use super::Exit;
use super::arguments::Common;
use super::check::{read, remarks, start_runtime, tell};

/// Tells what a run of this file would do.
pub(super) fn plan(file: &Path, common: &Common) -> anyhow::Result<Exit> {
    let runtime = start_runtime(common)?;
    let store = Arc::new(Store::open(&common.store_folder())?);
    let plan = match read(file, common, runtime, Some(&store)) {
        Ok((_, plan)) => plan,
        Err(problems) => {
            tell(&problems);
            return Ok(Exit::Wrong);
        }
    };
    let forecast = forecast::of(&plan, &store, runtime, common.cores());
    match common.json {
        true => console::out(&serde_json::to_string(&forecast)?),
        false => {
            remarks(&plan);
            console::out(&console::forecast(&forecast));
        }
    }
    Ok(Exit::Good)
}
