//! Shapes as pixels: areas and lines by `tiny-skia`, letters by the bitmap fonts of `embedded-graphics`.
use embedded_graphics::{
    Drawable, Pixel,
    draw_target::DrawTarget,
    geometry::{OriginDimensions, Point, Size},
    mono_font::{MonoTextStyle, iso_8859_1::FONT_7X13, iso_8859_1::FONT_9X15_BOLD},
    pixelcolor::{Rgb888, RgbColor},
    text::{Alignment, Text},
};
use eyre::{WrapErr, eyre};
use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, PremultipliedColorU8, Stroke, StrokeDash, Transform};

use super::{Anchor, Colour, HEIGHT, Shape, WIDTH};

/// The bytes of the file.
pub(super) fn paint(shapes: &[Shape]) -> eyre::Result<Vec<u8>> {
    let (width, height) = (WIDTH as u32, HEIGHT as u32);
    let mut pixmap = Pixmap::new(width, height).ok_or_else(|| eyre!("no room for a picture of {width} x {height}"))?;
    pixmap.fill(Color::WHITE);
    for shape in shapes {
        match shape {
            Shape::Area { points, colour, percent } => {
                let Some(path) = path(points, true) else { continue };
                let alpha = u8::try_from(u16::from(*percent) * 255 / 100).unwrap_or(255);
                pixmap.fill_path(&path, &paint_of(*colour, alpha), FillRule::Winding, Transform::identity(), None);
            }
            Shape::Line { points, colour, width, dashed } => {
                let Some(path) = path(points, false) else { continue };
                let dash = if *dashed { StrokeDash::new(vec![6.0, 4.0], 0.0) } else { None };
                let stroke = Stroke { width: *width, dash, ..Stroke::default() };
                pixmap.stroke_path(&path, &paint_of(*colour, 255), &stroke, Transform::identity(), None);
            }
            Shape::Text { at, anchor, text, colour, large } => {
                let [red, green, blue] = *colour;
                let font = if *large { &FONT_9X15_BOLD } else { &FONT_7X13 };
                let style = MonoTextStyle::new(font, Rgb888::new(red, green, blue));
                let alignment = match anchor {
                    Anchor::Start => Alignment::Left,
                    Anchor::Middle => Alignment::Center,
                    Anchor::End => Alignment::Right,
                };
                let place = Point::new(at.0.round() as i32, at.1.round() as i32);
                // Painting into memory cannot fail.
                let _ = Text::with_alignment(text, place, style, alignment).draw(&mut Letters(&mut pixmap));
            }
        }
    }
    encode(&pixmap, width, height)
}

fn encode(pixmap: &Pixmap, width: u32, height: u32) -> eyre::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().wrap_err("encoding the picture")?;
    // Everything is opaque on white.
    let pixels: Vec<u8> = pixmap.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
    writer.write_image_data(&pixels).wrap_err("encoding the picture")?;
    writer.finish().wrap_err("encoding the picture")?;
    Ok(bytes)
}

fn path(points: &[(f32, f32)], closed: bool) -> Option<tiny_skia::Path> {
    let ((x, y), rest) = points.split_first()?;
    let mut builder = PathBuilder::new();
    builder.move_to(*x, *y);
    rest.iter().for_each(|(x, y)| builder.line_to(*x, *y));
    if closed {
        builder.close();
    }
    builder.finish()
}

fn paint_of([red, green, blue]: Colour, alpha: u8) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, alpha);
    paint
}

/// Letters go into the same pixels.
struct Letters<'a>(&'a mut Pixmap);

impl OriginDimensions for Letters<'_> {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Letters<'_> {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        let (width, height) = (self.0.width(), self.0.height());
        let all = self.0.pixels_mut();
        for Pixel(point, colour) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y)) else { continue };
            let pixel = PremultipliedColorU8::from_rgba(colour.r(), colour.g(), colour.b(), 255);
            if let (true, Some(pixel)) = (x < width && y < height, pixel) {
                all[(y * width + x) as usize] = pixel;
            }
        }
        Ok(())
    }
}
