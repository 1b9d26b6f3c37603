//! The graphs of the ONNX project, of opsets 6 to 12, raised and compared with the outputs that
//! belong to them.
//!
//! Inputs become constants and outputs floats, so that values of every kind can be fed and read.
//! The embedded backend may end a whole process, so there every graph runs in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::super::graph::{FLOAT, Graph, Node, Port};
use super::super::proto;
use super::super::runtime::{Backend, runtime};
use super::super::tensor::{Data, Tensor, elements};
use super::upgrade;

/// Names the one graph that a child looks at.
const ONE: &str = "TL_RUN_TEST_GRAPH";

/// What became of a graph.
#[derive(Debug, PartialEq)]
enum Outcome {
    Agrees,
    /// Texts or sequences, or an operator that the backend does not have.
    NotComparable(String),
    Wrong(String),
}

/// Every graph, by its file.
fn graphs(material: &Path) -> Vec<PathBuf> {
    let folder = material.join("onnx_conformance");
    let entries = |name: &str| {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let nested = ["pytorch-operator", "pytorch-converted", "simple"].into_iter();
    let mut files: Vec<PathBuf> =
        nested.flat_map(entries).map(|path| path.join("model.onnx")).collect();
    let light = entries("light").into_iter();
    files.extend(light.filter(|path| path.extension().is_some_and(|end| end == "onnx")));
    files
}

/// The tensors `prefix_0`, `prefix_1`, … that belong to a graph; `None` for one that is no tensor.
fn tensors(model: &Path, prefix: &str) -> Vec<Option<Tensor>> {
    let folder = model.parent().unwrap().join("test_data_set_0");
    let file = |number: usize| folder.join(format!("{prefix}_{number}.pb"));
    let files = (0..).map(file).take_while(|file| file.exists());
    let light = PathBuf::from(model.to_string_lossy().replace(".onnx", &format!("_{prefix}_0.pb")));
    let light = Some(light).filter(|file| file.exists());
    files.chain(light).map(|file| proto::tensor(&fs::read(file).unwrap()).ok()).collect()
}

/// Light graphs come without inputs: theirs are i / n.
fn ramp(port: &Port) -> Option<Tensor> {
    let fixed = |dim: &super::super::graph::Dim| match dim {
        super::super::graph::Dim::Fixed(extent) => *extent,
        super::super::graph::Dim::Free(_) => 1,
    };
    let dims: Vec<usize> = port.dims.as_ref()?.iter().map(fixed).collect();
    let count = elements(&dims);
    Some(Tensor::f32(&dims, (0..count).map(|i| (i as f64 / count as f64) as f32).collect()))
}

/// The graph with constants for inputs and floats for outputs.
fn closed(mut graph: Graph, inputs: Vec<Tensor>) -> Graph {
    for (port, value) in std::mem::take(&mut graph.inputs).into_iter().zip(inputs) {
        graph.initializers.insert(port.name, value);
    }
    for port in &mut graph.outputs {
        let name = format!("{}.float", port.name);
        let cast = Node::new(&name, "Cast", &[&port.name], &name).with("to", i64::from(FLOAT));
        graph.nodes.push(cast);
        *port = Port::named(&name);
    }
    graph
}

/// Values as numbers; nothing for texts.
fn numbers(tensor: &Tensor) -> Option<Vec<f32>> {
    match &tensor.data {
        Data::F32(values) => Some(values.clone()),
        Data::I64(values) => Some(values.iter().map(|value| *value as f32).collect()),
        Data::Other { kind: 9, bytes } => Some(bytes.iter().map(|b| f32::from(*b)).collect()),
        Data::Other { kind: 11, bytes } => {
            let number = |eight: &[u8]| f64::from_le_bytes(eight.try_into().unwrap()) as f32;
            Some(bytes.chunks_exact(8).map(number).collect())
        }
        Data::Other { .. } => None,
    }
}

fn compare(file: &Path) -> Outcome {
    let graph = proto::decode(&fs::read(file).unwrap()).unwrap();
    let raised = match upgrade(graph.clone()) {
        Ok(raised) => raised,
        Err(error) => return Outcome::Wrong(error.to_string()),
    };
    let none = |what: &str| Outcome::NotComparable(what.to_owned());
    let given: Option<Vec<Tensor>> = match tensors(file, "input") {
        given if given.is_empty() => graph.inputs.iter().map(ramp).collect(),
        given => given.into_iter().collect(),
    };
    let expected: Option<Vec<Tensor>> = tensors(file, "output").into_iter().collect();
    let expected = expected.and_then(|all| {
        all.iter()
            .map(|tensor| Some((tensor.dims.clone(), numbers(tensor)?)))
            .collect::<Option<Vec<_>>>()
    });
    let (Some(given), Some(expected)) = (given, expected) else {
        return none("its inputs or outputs are no numbers");
    };
    if given.len() != graph.inputs.len() {
        return none("its inputs are not all given");
    }
    let load = |graph: Graph| {
        let closed = closed(graph, given.clone());
        let mut session = runtime().unwrap().load(&proto::encode(&closed), 1)?;
        session.run(&[])
    };
    match load(raised) {
        Err(error) => match load(graph) {
            Err(_) => none("this backend has not all of its operators"),
            Ok(_) => Outcome::Wrong(error.to_string()),
        },
        Ok(outputs) => {
            for (output, (dims, values)) in outputs.iter().zip(&expected) {
                let made = output.floats().unwrap();
                // Some expect what is no number, or too large for one.
                let same = |a: f32, b: f32| a.total_cmp(&b).is_eq() || (a.is_nan() && b.is_nan());
                let near =
                    |(a, b): (&f32, &f32)| same(*a, *b) || (a - b).abs() <= 1e-3 * b.abs() + 1e-5;
                if output.dims() != *dims || !made.iter().zip(values).all(near) {
                    return Outcome::Wrong(format!("{made:?} for {values:?}"));
                }
            }
            Outcome::Agrees
        }
    }
}

/// In a process of its own, which may crash.
fn in_child(file: &Path) -> Outcome {
    let test = "onnx::upgrade::conformance::every_graph_of_the_onnx_project_is_raised";
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ONE, file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let outcome = said.lines().find_map(|line| line.split_once("outcome: "));
    match outcome {
        Some((_, "agrees")) => Outcome::Agrees,
        Some((_, reason)) if reason.starts_with("wrong ") => Outcome::Wrong(reason.to_owned()),
        Some((_, reason)) => Outcome::NotComparable(reason.to_owned()),
        None => Outcome::NotComparable("the embedded backend ends the process".to_owned()),
    }
}

#[test]
fn every_graph_of_the_onnx_project_is_raised() {
    if let Some(file) = env::var_os(ONE) {
        let outcome = match compare(Path::new(&file)) {
            Outcome::Agrees => "agrees".to_owned(),
            Outcome::NotComparable(reason) => reason,
            Outcome::Wrong(reason) => format!("wrong {reason}"),
        };
        println!("outcome: {outcome}");
        return;
    }
    let Some(material) = env::var_os("TL_MATERIAL").map(PathBuf::from) else {
        eprintln!("skipped: TL_MATERIAL names no folder");
        return;
    };
    let library = runtime().unwrap().backend == Backend::Library;
    let (mut agree, mut not_run, mut wrong) = (0, Vec::new(), Vec::new());
    for file in graphs(&material) {
        let outcome = if library { compare(&file) } else { in_child(&file) };
        let name = file.strip_prefix(&material).unwrap().display().to_string();
        match outcome {
            Outcome::Agrees => agree += 1,
            Outcome::NotComparable(reason) => not_run.push(format!("{name}: {reason}")),
            Outcome::Wrong(reason) => wrong.push(format!("{name}: {reason}")),
        }
    }
    eprintln!("{agree} graphs agree; not run:\n{}", not_run.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(agree >= if library { 120 } else { 60 }, "only {agree} graphs were compared");
}
