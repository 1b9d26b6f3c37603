//! The geometry that convolutions and poolings share.

use super::site::{Refusal, Site};

/// A window that slides over the spatial axes; one entry per axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Extent of the input.
    pub(crate) input: Vec<usize>,
    /// Extent of the output.
    pub(crate) output: Vec<usize>,
    /// Taps of the window.
    pub(crate) kernel: Vec<usize>,
    /// Steps from one position to the next.
    pub(crate) strides: Vec<usize>,
    /// Distance between taps.
    pub(crate) dilations: Vec<usize>,
    /// What is added before the input.
    pub(crate) before: Vec<usize>,
    /// What is added after the input.
    pub(crate) after: Vec<usize>,
}

impl Window {
    /// The window of a node whose kernel has these extents.
    pub(crate) fn of(site: &Site<'_>, kernel: &[usize]) -> Result<Self, Refusal> {
        let spatial = kernel.len();
        let (x, y) = (site.input(0)?.dims(), site.output());
        if x.len() != spatial + 2 || y.len() != spatial + 2 {
            return Err(site.refuse("its kernel and its input have different numbers of axes"));
        }
        let list = |key, default| match site.node.ints(key) {
            Some(values) => values.iter().map(|&value| value as usize).collect(),
            None => vec![default; spatial],
        };
        let mut window = Self {
            input: x[2..].to_vec(),
            output: y[2..].to_vec(),
            kernel: kernel.to_vec(),
            strides: list("strides", 1),
            dilations: list("dilations", 1),
            before: vec![0; spatial],
            after: vec![0; spatial],
        };
        match site.node.text("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" => window.given_pads(site)?,
            "VALID" => {}
            mode => window.automatic_pads(mode == "SAME_UPPER"),
        }
        Ok(window)
    }

    fn given_pads(&mut self, site: &Site<'_>) -> Result<(), Refusal> {
        let Some(pads) = site.node.ints("pads") else { return Ok(()) };
        let spatial = self.kernel.len();
        let negative = |_| site.refuse("negative padding has no gradient rule");
        let pads: Result<Vec<usize>, _> = pads.iter().map(|&pad| usize::try_from(pad)).collect();
        let pads = pads.map_err(negative)?;
        if pads.len() != 2 * spatial {
            return Err(site.refuse("its pads and its kernel have different numbers of axes"));
        }
        self.before = pads[..spatial].to_vec();
        self.after = pads[spatial..].to_vec();
        Ok(())
    }

    /// As much as makes the output ⌈input / stride⌉; an odd pad goes after, or before.
    fn automatic_pads(&mut self, odd_after: bool) {
        for axis in 0..self.kernel.len() {
            let covered = (self.output[axis] - 1) * self.strides[axis] + self.reach(axis);
            let total = covered.saturating_sub(self.input[axis]);
            let half = total / 2;
            let (before, after) =
                if odd_after { (half, total - half) } else { (total - half, half) };
            (self.before[axis], self.after[axis]) = (before, after);
        }
    }

    /// Entries from the first to the last tap.
    pub(crate) fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    /// Number of taps.
    pub(crate) fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Number of output positions.
    pub(crate) fn positions(&self) -> usize {
        self.output.iter().product()
    }

    /// Every tap, by its index on each axis, in row-major order.
    pub(crate) fn each_tap(&self) -> Vec<Vec<usize>> {
        let mut taps = vec![vec![]];
        for &extent in &self.kernel {
            taps = taps
                .into_iter()
                .flat_map(|tap| (0..extent).map(move |index| [tap.as_slice(), &[index]].concat()))
                .collect();
        }
        taps
    }

    /// Whether windows lie edge to edge and cover the input exactly.
    pub(crate) fn tiles(&self) -> bool {
        let exact = |axis: usize| {
            self.kernel[axis] == self.strides[axis]
                && self.dilations[axis] == 1
                && self.output[axis] * self.kernel[axis] == self.input[axis]
        };
        !self.is_padded() && (0..self.kernel.len()).all(exact)
    }

    /// Whether anything is added round the input.
    pub(crate) fn is_padded(&self) -> bool {
        self.before.iter().chain(&self.after).any(|&pad| pad > 0)
    }

    /// From the first entry that a window meets to the last.
    pub(crate) fn full(&self, axis: usize) -> usize {
        (self.output[axis] - 1) * self.strides[axis] + self.reach(axis)
    }

    /// Pads and output padding with which a transposed convolution comes out at the input's extent,
    /// also where ceil mode reached beyond it.
    pub(crate) fn transposed(&self) -> (Vec<i64>, Vec<i64>) {
        let left: Vec<i64> = (0..self.kernel.len()).map(|axis| self.left_over(axis)).collect();
        let before = self.before.iter().map(|&pad| pad as i64);
        let after = self.after.iter().zip(&left).map(|(&pad, left)| pad as i64 - left.min(&0));
        (before.chain(after).collect(), left.iter().map(|left| *left.max(&0)).collect())
    }

    /// What a transposed window must add after its output to come out at the input's extent:
    /// rows that no full stride reached. Negative where ceil mode reached beyond the input.
    pub(crate) fn left_over(&self, axis: usize) -> i64 {
        let padded = self.input[axis] + self.before[axis] + self.after[axis];
        padded as i64 - self.full(axis) as i64
    }
}
