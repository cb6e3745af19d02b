//! Confidence intervals of ratios.

/// Two-sided 95 % quantiles of Student's distribution for 1, 2, … degrees of freedom.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
/// The same for more.
const T_LIMIT: f64 = 2.042;

/// A ratio and the interval that holds it with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) ratio: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Interval {
    /// Of pairs: the geometric mean of their ratios, Student's interval of its logarithm. None with fewer
    /// than two pairs, or where one of a pair is nothing.
    pub(crate) fn of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let logs: Vec<f64> =
            pairs.into_iter().map(|(measured, yardstick)| (measured / yardstick).ln()).collect();
        if logs.len() < 2 || logs.iter().any(|log| !log.is_finite()) {
            return None;
        }
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let t = T.get(logs.len() - 2).copied().unwrap_or(T_LIMIT);
        let half = t * (variance / count).sqrt();
        Some(Self { ratio: mean.exp(), low: (mean - half).exp(), high: (mean + half).exp() })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn pairs_that_agree_leave_no_doubt() {
        let interval = Interval::of([(11.0, 10.0), (22.0, 20.0), (5.5, 5.0)]).unwrap();
        for value in [interval.ratio, interval.low, interval.high] {
            assert!((value - 1.1).abs() < 1e-9, "{interval:?}");
        }
    }

    #[test]
    fn the_interval_is_students() {
        // Logarithms -0.1, 0.0, 0.1: mean 0, deviation 0.1, half width 4.303 * 0.1 / sqrt(3).
        let interval =
            Interval::of([(-0.1_f64).exp(), 1.0, 0.1_f64.exp()].map(|ratio| (ratio, 1.0))).unwrap();
        assert!((interval.high.ln() - 0.248_43).abs() < 1e-4, "{interval:?}");
        assert!((interval.low.ln() + 0.248_43).abs() < 1e-4, "{interval:?}");
    }

    #[test]
    fn one_pair_has_no_interval() {
        assert_eq!(Interval::of([(1.0, 1.0)]), None);
        assert_eq!(Interval::of([(1.0, 0.0), (1.0, 1.0)]), None);
    }
}
