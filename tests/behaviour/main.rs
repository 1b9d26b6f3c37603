//! How the program behaves, seen from outside: each test runs the binary on a study in a folder of
//! its own and compares everything it says and leaves.
//!
//! Tests that name no backend run on the embedded one. Those of ONNX Runtime's own library take it
//! from `ORT_DYLIB_PATH`, those of real models and images take them from `TL_MATERIAL`; where these
//! are not set, the tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on ends its test")]

mod advice;
mod arrays;
mod autograd;
mod baselines;
mod beside;
mod broken_input;
mod caching;
mod compare;
mod curves;
mod determinism;
mod devices;
mod diverging;
mod energy;
mod extending;
mod foreign_forms;
mod formats;
mod frozen;
mod golden;
mod harness;
mod inspecting;
mod interruption;
mod kinds;
mod language;
mod leaks;
mod looks;
mod manifests;
mod model_check;
mod models;
mod open;
mod origins;
mod plan;
mod predict;
mod preprocessing;
mod probes;
mod real_models;
mod recipes;
mod results;
mod runs;
mod runtime;
mod scheduling;
mod settings;
mod skipping;
mod surgery;
mod surrogates;
mod sweep;
mod targets;
mod transferability;
mod verdicts;
mod wrong_arguments;
mod wrong_data;
mod wrong_files;
mod wrong_settings;
