//! The tiles of all leaves become one picture. The tile format is described in `apps/raytrace/README.md`.
use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
};

use eyre::{OptionExt, WrapErr, bail, ensure};
use serde::Deserialize;
use sunwork_client::Results;

/// Largest side of a picture that is assembled, pixels.
const MAX_SIDE: u32 = 16_384;

/// Where a tile lies, as the app wrote it.
#[derive(Debug, Deserialize)]
struct Tile {
    x: u32,
    y: u32,
    w: u32,
    h: u32,
    width: u32,
    height: u32,
}

/// Writes the picture and returns its size.
pub(super) fn assemble(results: &Results, to: &Path) -> eyre::Result<(u32, u32)> {
    let mut canvas: Option<Canvas> = None;
    for leaf in &results.leaves {
        let dir = leaf.path.as_deref().ok_or_eyre("a leaf has no output")?;
        let place = || format!("reading the tile of leaf {}", leaf.leaf);
        let (tile, pixels) = read_tile(dir).wrap_err_with(place)?;
        let canvas = match &mut canvas {
            Some(canvas) => canvas,
            None => canvas.insert(Canvas::new(tile.width, tile.height)?),
        };
        canvas.put(&tile, &pixels).wrap_err_with(place)?;
    }
    let canvas = canvas.ok_or_eyre("there are no leaves")?;
    ensure!(canvas.missing == 0, "{} pixels of the picture are in no tile", canvas.missing);
    canvas.write(to).wrap_err_with(|| format!("writing {}", to.display()))?;
    Ok((canvas.width, canvas.height))
}

/// RGB, 8 bits each.
struct Canvas {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
    missing: u64,
}

impl Canvas {
    fn new(width: u32, height: u32) -> eyre::Result<Self> {
        ensure!((1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height), "a picture of {width} x {height}");
        let pixels = width as usize * height as usize;
        Ok(Self { width, height, rgb: vec![0; pixels * 3], missing: pixels as u64 })
    }

    fn put(&mut self, tile: &Tile, pixels: &[u8]) -> eyre::Result<()> {
        ensure!(
            (tile.width, tile.height) == (self.width, self.height),
            "it is of a picture of {} x {}, expected {} x {}",
            tile.width,
            tile.height,
            self.width,
            self.height
        );
        let fits = |start: u32, length: u32, side: u32| start.checked_add(length).is_some_and(|end| end <= side);
        ensure!(
            fits(tile.x, tile.w, self.width) && fits(tile.y, tile.h, self.height),
            "it leaves the picture: {tile:?}"
        );
        let row_bytes = tile.w as usize * 3;
        ensure!(pixels.len() == row_bytes * tile.h as usize, "found {} bytes of pixels for {tile:?}", pixels.len());
        for (row, source) in pixels.chunks_exact(row_bytes).enumerate() {
            let start = ((tile.y as usize + row) * self.width as usize + tile.x as usize) * 3;
            self.rgb[start..start + row_bytes].copy_from_slice(source);
        }
        self.missing = self.missing.saturating_sub(u64::from(tile.w) * u64::from(tile.h));
        Ok(())
    }

    fn write(&self, to: &Path) -> eyre::Result<()> {
        let mut encoder = png::Encoder::new(BufWriter::new(File::create(to)?), self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        writer.finish()?;
        Ok(())
    }
}

fn read_tile(dir: &Path) -> eyre::Result<(Tile, Vec<u8>)> {
    let dir = if dir.join("tile.json").is_file() { dir.to_owned() } else { dir.join("tile") };
    let read = |name: &str| -> eyre::Result<(PathBuf, Vec<u8>)> {
        let path = dir.join(name);
        let bytes = fs::read(&path).wrap_err_with(|| format!("reading {}", path.display()))?;
        Ok((path, bytes))
    };
    let (path, json) = read("tile.json")?;
    let tile: Tile = serde_json::from_slice(&json).wrap_err_with(|| format!("reading {}", path.display()))?;
    let (path, ppm) = read("tile.ppm")?;
    let pixels = ppm_pixels(&ppm, tile.w, tile.h).wrap_err_with(|| format!("reading {}", path.display()))?;
    Ok((tile, pixels.to_vec()))
}

/// The pixels of a binary PPM (P6) of this size.
fn ppm_pixels(ppm: &[u8], width: u32, height: u32) -> eyre::Result<&[u8]> {
    // Header: four words, each ended by one white space; comments are not used by the app.
    let (mut words, mut start) = (Vec::new(), 0);
    for (at, byte) in ppm.iter().enumerate().take(64) {
        if byte.is_ascii_whitespace() {
            words.push(std::str::from_utf8(&ppm[start..at]).unwrap_or_default());
            start = at + 1;
            if words.len() == 4 {
                break;
            }
        }
    }
    let expected = ["P6".to_owned(), width.to_string(), height.to_string(), "255".to_owned()];
    if words != expected {
        bail!("found the PPM header {words:?}, expected {expected:?}");
    }
    Ok(&ppm[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(x: u32, w: u32) -> Tile {
        Tile { x, y: 0, w, h: 1, width: 3, height: 1 }
    }

    #[test]
    fn tiles_fill_the_canvas() {
        let mut canvas = Canvas::new(3, 1).unwrap();
        canvas.put(&tile(1, 2), &[4, 5, 6, 7, 8, 9]).unwrap();
        assert_eq!(canvas.missing, 1);
        canvas.put(&tile(0, 1), &[1, 2, 3]).unwrap();
        assert_eq!((canvas.missing, canvas.rgb), (0, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]));
    }

    #[test]
    fn strange_tiles_are_refused() {
        let mut canvas = Canvas::new(3, 1).unwrap();
        assert!(canvas.put(&tile(2, 2), &[0; 6]).is_err(), "leaves the picture");
        assert!(canvas.put(&tile(u32::MAX, 2), &[0; 6]).is_err(), "overflows");
        assert!(canvas.put(&tile(0, 2), &[0; 5]).is_err(), "too few pixels");
        assert!(Canvas::new(0, 1).is_err() && Canvas::new(1, MAX_SIDE + 1).is_err());
        assert_eq!(ppm_pixels(b"P6\n1 1\n255\nabc", 1, 1).unwrap(), b"abc");
        assert!(ppm_pixels(b"P6\n2 1\n255\nabc", 1, 1).is_err() && ppm_pixels(b"", 1, 1).is_err());
    }
}
