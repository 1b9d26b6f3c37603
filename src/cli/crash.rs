//! The embedded backend panics on some models inside functions that may not unwind, which ends the
//! process. It then ends with words, and with the exit code of a failed stage.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Mutex;

use crate::console;

/// What the runtime says when a panic reaches a function that may not unwind.
const CANNOT_UNWIND: &str = "panic in a function that cannot unwind";

/// From here on, crashes of the embedded backend are told in words.
pub(super) fn tell_crashes_in_words() {
    let usual = take_hook();
    let first = Mutex::new(None);
    set_hook(Box::new(move |panic| {
        let message = message(panic);
        if message == CANNOT_UNWIND {
            let first = first.lock().ok().and_then(|mut first| first.take());
            console::err(&format!(
                "error: the embedded backend crashed on a graph ({})\n  help: ONNX Runtime's own \
                 library may run it: get it with `tl-run runtime install`, or name one with \
                 --runtime PATH; what is done is kept",
                first.unwrap_or_default()
            ));
            end();
            return;
        }
        if let Ok(mut first) = first.lock() {
            *first = Some(message);
        }
        // One of the backend is either caught and told as an error, or followed by the one above.
        if !is_of_the_backend(panic) {
            usual(panic);
        }
    }));
}

fn message(panic: &PanicHookInfo<'_>) -> String {
    panic.payload_as_str().unwrap_or("no words").to_owned()
}

fn is_of_the_backend(panic: &PanicHookInfo<'_>) -> bool {
    panic.location().is_some_and(|location| location.file().contains("tract"))
}

#[expect(clippy::exit, reason = "the process is about to be aborted; results are written whole")]
fn end() {
    std::process::exit(1);
}
