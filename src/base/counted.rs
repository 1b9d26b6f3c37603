//! Numbers of things, as people say them.

/// "1 seed", "5 seeds".
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// "45 s", "12 min", "2.5 h".
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 99.5 => format!("{s:.0} s"),
        s if s < 99.5 * 60.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_anything_else_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "seed")), ["0 seeds", "1 seed", "2 seeds"]);
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        let told = [0.2, 45.0, 720.0, 9000.0].map(duration);
        assert_eq!(told, ["0 s", "45 s", "12 min", "2.5 h"]);
    }
}
