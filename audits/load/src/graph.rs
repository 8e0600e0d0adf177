//! Curves over time as an SVG file, without fonts or scripts of its own.

use std::fmt::Write;

/// Of the picture, in units of its own.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
const FOOT: f64 = 30.0;

/// Lines across, above the lowest.
const LINES: u32 = 4;

/// One for each curve, told apart by everybody.
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

/// One curve: its name and its values, one for each moment.
pub type Curve<'a> = (&'a str, Vec<f64>);

/// A picture of some curves over the same moments, which are minutes. The scale begins at 0.
#[must_use]
pub fn svg(title: &str, minutes: &[f64], curves: &[Curve<'_>]) -> String {
    let last = minutes.last().copied().filter(|last| *last > 0.0).unwrap_or(1.0);
    let highest = curves.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max);
    let top = if highest > 0.0 { highest * 1.1 } else { 1.0 };
    let (width, height) = (WIDTH - LEFT - 20.0, HEIGHT - TOP - FOOT);
    let x = |minute: f64| LEFT + width * minute / last;
    let y = |value: f64| TOP + height * (1.0 - value / top);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{LEFT}\" y=\"18\" \
         font-size=\"14\">{title}</text>\n"
    );
    for line in 0..=LINES {
        let value = top * f64::from(line) / f64::from(LINES);
        let (at, right) = (y(value), WIDTH - 20.0);
        let _ = writeln!(out, "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>");
        let _ = writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.1}</text>", LEFT - 6.0, at + 4.0);
    }
    let foot = HEIGHT - 10.0;
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{foot}\">0</text>");
    let _ = writeln!(out, "<text x=\"{}\" y=\"{foot}\" text-anchor=\"end\">{last:.0} min</text>", WIDTH - 20.0);
    for (index, ((name, values), colour)) in curves.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let points: String =
            minutes.iter().zip(values).map(|(minute, value)| format!("{:.1},{:.1} ", x(*minute), y(*value))).collect();
        let _ = writeln!(out, "<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"/>", points.trim_end());
        let at = LEFT + 150.0 * index as f64;
        let _ = writeln!(out, "<text x=\"{at}\" y=\"34\" fill=\"{colour}\">{name}</text>");
    }
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::svg;

    #[test]
    fn a_curve_goes_through_its_values_and_begins_at_the_left() {
        let drawn = svg("memory MiB", &[0.0, 1.0, 2.0], &[("relay", vec![0.0, 10.0, 5.0])]);
        assert!(drawn.contains("points=\"70.0,230.0 425.0,57.3 780.0,143.6\""), "{drawn}");
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
        assert!(svg("nothing", &[], &[]).contains("</svg>"), "no value, no division by zero");
    }
}
