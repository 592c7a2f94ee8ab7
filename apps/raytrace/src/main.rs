//! Renders one tile of a picture: task i of n of a bag. See README.md.

mod render;
mod scene;
mod vector;

use std::{env, error::Error, fs, path::PathBuf, process::ExitCode};

struct Options {
    width: u32,
    height: u32,
    samples: u32,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raytrace: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = options(env::args().skip(1))?;
    let first = number("IEXEC_BOT_FIRST_INDEX")?;
    let index = number("IEXEC_BOT_TASK_INDEX")?;
    let tiles = number("IEXEC_BOT_SIZE")?;
    let index = index.checked_sub(first).filter(|i| *i < tiles).ok_or_else(|| {
        format!("IEXEC_BOT_TASK_INDEX is {index}, expected {first} to {}", u64::from(first) + u64::from(tiles) - 1)
    })?;
    let out = PathBuf::from(env::var("IEXEC_OUT").map_err(|_| "IEXEC_OUT is not set, expected the output folder")?);

    let tile = render::tile(index, tiles, options.width, options.height);
    let pixels = render::render(&tile, options.width, options.height, options.samples);

    let folder = out.join("tile");
    fs::create_dir_all(&folder)?;
    let mut ppm = format!("P6\n{} {}\n255\n", tile.w, tile.h).into_bytes();
    ppm.extend(pixels);
    fs::write(folder.join("tile.ppm"), ppm)?;
    let place = format!(
        "{{\"index\":{index},\"tiles\":{tiles},\"x\":{},\"y\":{},\"w\":{},\"h\":{},\"width\":{},\"height\":{}}}\n",
        tile.x, tile.y, tile.w, tile.h, options.width, options.height
    );
    fs::write(folder.join("tile.json"), place)?;
    let declared = format!("{{\"deterministic-output-path\":\"{}\"}}\n", folder.display());
    fs::write(out.join("computed.json"), declared)?;
    println!("tile {index} of {tiles}: {} x {} pixels at {}, {}", tile.w, tile.h, tile.x, tile.y);
    Ok(())
}

/// An iExec variable that must be a number.
fn number(name: &str) -> Result<u32, Box<dyn Error>> {
    let text = env::var(name).map_err(|_| format!("{name} is not set, expected a number"))?;
    Ok(text.parse().map_err(|_| format!("{name} is {text:?}, expected a number"))?)
}

fn options(args: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let mut options = Options { width: 1280, height: 720, samples: 24 };
    let mut args = args;
    while let Some(flag) = args.next() {
        let (target, max) = match flag.as_str() {
            "--width" => (&mut options.width, 16_384),
            "--height" => (&mut options.height, 16_384),
            "--samples" => (&mut options.samples, 65_536),
            _ => return Err(format!("unknown argument {flag:?}, expected --width, --height or --samples").into()),
        };
        let text = args.next().ok_or_else(|| format!("{flag} needs a number"))?;
        *target = text
            .parse()
            .ok()
            .filter(|n| (1..=max).contains(n))
            .ok_or_else(|| format!("{flag} is {text:?}, expected 1 to {max}"))?;
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::render::{render, tile};

    #[test]
    fn tiles_cover_the_picture_once() {
        for count in [1, 2, 7, 12, 16, 100] {
            let mut seen = vec![0_u8; 129 * 101];
            for index in 0..count {
                let t = tile(index, count, 129, 101);
                for y in t.y..t.y + t.h {
                    for x in t.x..t.x + t.w {
                        seen[(y * 129 + x) as usize] += 1;
                    }
                }
            }
            assert!(seen.iter().all(|n| *n == 1), "{count} tiles");
        }
    }

    #[test]
    fn a_pixel_is_the_same_in_every_tiling() {
        let whole = render(&tile(0, 1, 32, 18), 32, 18, 2);
        let t = tile(3, 4, 32, 18);
        let part = render(&t, 32, 18, 2);
        for y in 0..t.h {
            let row = (((t.y + y) * 32 + t.x) * 3) as usize;
            let width = (t.w * 3) as usize;
            assert_eq!(part[y as usize * width..][..width], whole[row..][..width]);
        }
    }
}
