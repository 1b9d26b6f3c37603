//! Kernels of our own as operators of ONNX Runtime's library: the second half of the door. Each
//! borrows the threads of the session it runs in.

use ort::operator::{
    BoxedKernel, ComputeContext, KernelContext, Operator, OperatorDomain, OperatorInput,
    OperatorOutput, ShapeInferenceContext,
};
use ort::value::{Shape, SymbolicDimensions, TensorElementType, ValueRef, ValueRefMut, ValueType};

use crate::kernels::{Attributes, DOMAIN, Input, Kernel, Kind, Output, Threads, Values, kernels};

/// The operators, for one session.
pub(super) fn domain() -> ort::Result<OperatorDomain> {
    kernels().try_fold(OperatorDomain::new(DOMAIN)?, |domain, kernel| domain.add(Adapter(kernel)))
}

/// A kernel in the shape in which the library takes operators.
struct Adapter(&'static Kernel);

impl Operator for Adapter {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &str {
        self.0.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let last = self.0.inputs.len() - 1;
        let input = move |(index, kind): (usize, &Kind)| match self.0.repeats && index == last {
            true => OperatorInput::variadic(1).homogenous(element(*kind)),
            false => OperatorInput::required(element(*kind)),
        };
        self.0.inputs.iter().enumerate().map(input)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        self.0.outputs.iter().map(|kind| OperatorOutput::required(element(*kind)))
    }

    fn create_kernel<'attr>(
        &self,
        context: &KernelContext<'attr>,
    ) -> ort::Result<Self::Kernel<'attr>> {
        let missing = |name: &str| error(format!("{} needs `{name}`", self.0.name));
        let attributes = attributes(
            self.0,
            |name| context.get(name).ok_or_else(|| missing(name)),
            |name| context.get(name).ok_or_else(|| missing(name)),
        )?;
        let kernel = self.0;
        Ok(Box::new(move |context: &ComputeContext| compute(kernel, &attributes, context)))
    }

    /// Shapes let the library plan where tensors lie before it runs.
    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        let known: Option<Vec<Vec<usize>>> = context.inputs().iter().map(known_dims).collect();
        let Some(dims) = known else {
            tracing::debug!(kernel = self.0.name, "shapes of its inputs are not known");
            return Ok(());
        };
        // A number that is 0 is left out of the file, and not found here.
        let number = |name: &str| Ok(context.attr(name).unwrap_or(0.0));
        let attributes = attributes(self.0, |name| context.attr(name), number)?;
        let shapes = (self.0.shapes)(&attributes, &dims).map_err(error)?;
        for (index, (dims, kind)) in shapes.iter().zip(self.0.outputs).enumerate() {
            let kind = ValueType::Tensor {
                ty: element(*kind),
                shape: Shape::new(dims.iter().map(|&extent| extent as i64)),
                dimension_symbols: SymbolicDimensions::empty(dims.len()),
            };
            context.set_output(index, &kind)?;
        }
        Ok(())
    }
}

fn error(cause: String) -> ort::Error {
    ort::Error::new(cause)
}

fn element(kind: Kind) -> TensorElementType {
    match kind {
        Kind::F32 => TensorElementType::Float32,
        Kind::U8 => TensorElementType::Uint8,
    }
}

fn attributes(
    kernel: &Kernel,
    list: impl Fn(&str) -> ort::Result<Vec<i64>>,
    number: impl Fn(&str) -> ort::Result<f32>,
) -> ort::Result<Attributes> {
    let lists = kernel.lists.iter().map(|&name| Ok((name, list(name)?)));
    let numbers = kernel.numbers.iter().map(|&name| Ok((name, number(name)?)));
    Ok(Attributes {
        lists: lists.collect::<ort::Result<_>>()?,
        numbers: numbers.collect::<ort::Result<_>>()?,
    })
}

/// Extents of a tensor; `None` if they are not known yet, which the library tells as no axes.
fn known_dims(kind: &ValueType) -> Option<Vec<usize>> {
    let ValueType::Tensor { shape, .. } = kind else { return None };
    if shape.is_empty() {
        return None;
    }
    shape.iter().map(|&extent| usize::try_from(extent).ok()).collect()
}

fn compute(kernel: &Kernel, attributes: &Attributes, context: &ComputeContext) -> ort::Result<()> {
    let given: Vec<ValueRef<'_>> = (0..context.num_inputs()?)
        .map(|index| context.input(index)?.ok_or_else(|| error(format!("no input {index}"))))
        .collect::<ort::Result<_>>()?;
    let kinds = kernel.inputs.iter().chain(kernel.inputs.last().into_iter().cycle());
    let inputs: Vec<Input<'_>> = given
        .iter()
        .zip(kinds)
        .map(|(value, kind)| input(value, *kind))
        .collect::<Result<_, _>>()?;
    let dims: Vec<Vec<usize>> = inputs.iter().map(|input| input.dims.clone()).collect();
    let shapes = (kernel.shapes)(attributes, &dims).map_err(error)?;
    let mut places: Vec<ValueRefMut<'_>> = shapes
        .iter()
        .enumerate()
        .map(|(index, dims)| {
            let shape: Vec<i64> = dims.iter().map(|&extent| extent as i64).collect();
            context.output(index, shape)?.ok_or_else(|| error(format!("no output {index}")))
        })
        .collect::<ort::Result<_>>()?;
    let mut outputs: Vec<Output<'_>> = places
        .iter_mut()
        .zip(kernel.outputs)
        .map(|(place, kind)| output(place, *kind))
        .collect::<ort::Result<_>>()?;
    let threads = Lent { context };
    (kernel.compute)(attributes, &inputs, &mut outputs, &threads);
    Ok(())
}

fn input<'a>(value: &'a ValueRef<'_>, kind: Kind) -> ort::Result<Input<'a>> {
    let (shape, values) = match kind {
        Kind::F32 => {
            let (shape, values) = value.try_extract_tensor::<f32>()?;
            (shape, Values::F32(values))
        }
        Kind::U8 => {
            let (shape, values) = value.try_extract_tensor::<u8>()?;
            (shape, Values::U8(values))
        }
    };
    Ok(Input { dims: shape.iter().map(|&extent| extent.max(0) as usize).collect(), values })
}

fn output<'a>(place: &'a mut ValueRefMut<'_>, kind: Kind) -> ort::Result<Output<'a>> {
    Ok(match kind {
        Kind::F32 => Output::F32(place.try_extract_tensor_mut::<f32>()?.1),
        Kind::U8 => Output::U8(place.try_extract_tensor_mut::<u8>()?.1),
    })
}

/// The threads of the session that runs.
struct Lent<'a> {
    context: &'a ComputeContext,
}

impl Threads for Lent<'_> {
    fn each(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        if count < 2 || self.context.par_for(count, count, work).is_err() {
            (0..count).for_each(work);
        }
    }
}
