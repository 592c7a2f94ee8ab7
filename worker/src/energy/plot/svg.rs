//! Shapes as SVG.
use std::fmt::Write;

use super::{Anchor, Colour, HEIGHT, Shape, WIDTH};

/// The whole file.
pub(super) fn write(shapes: &[Shape]) -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"ui-monospace, monospace\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    for shape in shapes {
        // Writing to a string cannot fail.
        let _ = match shape {
            Shape::Area { points, colour, percent } => writeln!(
                text,
                "<polygon points=\"{}\" fill=\"{}\" fill-opacity=\"{}\"/>",
                joined(points),
                hex(*colour),
                f32::from(*percent) / 100.0
            ),
            Shape::Line { points, colour, width, dashed } => writeln!(
                text,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{}/>",
                joined(points),
                hex(*colour),
                if *dashed { " stroke-dasharray=\"6 4\"" } else { "" }
            ),
            Shape::Text { at, anchor, text: words, colour, large } => writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{}\" fill=\"{}\"{}>{}</text>",
                at.0,
                at.1,
                match anchor {
                    Anchor::Start => "start",
                    Anchor::Middle => "middle",
                    Anchor::End => "end",
                },
                hex(*colour),
                if *large { " font-size=\"16\"" } else { "" },
                words.replace('&', "&amp;").replace('<', "&lt;")
            ),
        };
    }
    text.push_str("</svg>\n");
    text
}

fn joined(points: &[(f32, f32)]) -> String {
    points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}
