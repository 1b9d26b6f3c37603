//! What the key of a node's result is made of.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::onnx::runtime::Runtime;
use crate::stages::{Failure, Given, Job};

/// Everything that can change what a job makes of these inputs on this runtime.
pub(super) fn fields(
    job: &dyn Job,
    given: &BTreeMap<String, Given>,
    runtime: &Runtime,
) -> Result<Json, Failure> {
    let inputs: BTreeMap<&String, Json> = given
        .iter()
        .map(|(port, given)| {
            let identity = match given {
                Given::Artifact(artifact) => json!(artifact.digest),
                Given::Missing { diverged: true } => json!("diverged"),
                Given::Missing { diverged: false } => json!("missing"),
            };
            (port, identity)
        })
        .collect();
    let mut fields = json!({
        "kind": job.kind(),
        "version": job.version(),
        "parameters": job.parameters()?,
        "inputs": inputs,
        "runtime": job.computes().then_some(runtime.version()),
    });
    if let Some(version) = runtime.kernels().filter(|_| job.trains()) {
        fields["kernels"] = json!(version);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::runtime::runtime;
    use crate::stages::{Context, Outputs};

    struct Work {
        trains: bool,
    }

    impl Job for Work {
        fn kind(&self) -> &'static str {
            "work"
        }

        fn version(&self) -> u32 {
            1
        }

        fn parameters(&self) -> Result<Json, Failure> {
            Ok(Json::Null)
        }

        fn trains(&self) -> bool {
            self.trains
        }

        fn run(&self, _: &Context<'_>) -> Result<Outputs, Failure> {
            Ok(Outputs::default())
        }
    }

    #[test]
    fn the_version_of_our_kernels_is_in_the_key_of_what_they_train() {
        let runtime = runtime().unwrap();
        let kernels = |trains| {
            let fields = fields(&Work { trains }, &BTreeMap::new(), runtime).unwrap();
            fields.get("kernels").cloned()
        };
        assert_eq!(kernels(true), runtime.kernels().map(|version| json!(version)));
        assert_eq!(kernels(false), None);
    }
}
