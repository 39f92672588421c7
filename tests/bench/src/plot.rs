//! Plots of figures, as SVG.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

/// A bar for each name: its value, and from where to where it went.
#[derive(Clone, Debug)]
pub struct Bar {
    pub name: String,
    pub value: f64,
    pub least: f64,
    pub most: f64,
}

/// Bars under a title.
#[derive(Clone, Debug)]
pub struct Bars {
    pub title: String,
    pub bars: Vec<Bar>,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Lines on two logarithmic scales.
#[derive(Clone, Debug)]
pub struct Lines {
    pub title: String,
    pub x: String,
    pub y: String,
    pub lines: Vec<Line>,
}

const WIDTH: u32 = 900;
const BAR_HEIGHT: u32 = 22;
const LINES_HEIGHT: u32 = 360;

/// Bars below bars, each group on a scale of its own that begins with 0.
pub fn bars(file: &Path, groups: &[Bars]) -> anyhow::Result<()> {
    let heights: Vec<u32> = groups.iter().map(height).collect();
    let root = SVGBackend::new(file, (WIDTH, heights.iter().sum())).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let mut rest = root.clone();
    for (group, height) in groups.iter().zip(heights) {
        let (area, below) = rest.split_vertically(height);
        rest = below;
        let most = group.bars.iter().map(|bar| bar.most).fold(0.0, f64::max);
        let count = i32::try_from(group.bars.len())?;
        let mut chart = ChartBuilder::on(&area)
            .caption(&group.title, ("sans-serif", 16))
            .margin(8)
            .x_label_area_size(24)
            .y_label_area_size(230)
            .build_cartesian_2d(
                0.0..most.max(f64::MIN_POSITIVE) * 1.1,
                (0..count).into_segmented(),
            )
            .map_err(failed)?;
        let name = |place: &SegmentValue<i32>| match place {
            SegmentValue::CenterOf(place) => usize::try_from(count - 1 - place)
                .ok()
                .and_then(|place| group.bars.get(place))
                .map_or(String::new(), |bar| {
                    format!("{}  {:.2}", bar.name, bar.value)
                }),
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .y_labels(group.bars.len())
            .y_label_formatter(&name)
            .draw()
            .map_err(failed)?;
        for (bar, place) in group.bars.iter().zip((0..count).rev()) {
            let (low, high) = (SegmentValue::Exact(place), SegmentValue::Exact(place + 1));
            let mut rectangle =
                Rectangle::new([(0.0, low), (bar.value, high)], BLUE.mix(0.6).filled());
            rectangle.set_margin(3, 3, 0, 0);
            chart.draw_series([rectangle]).map_err(failed)?;
            let centre = SegmentValue::CenterOf(place);
            let points = [(bar.least, centre.clone()), (bar.most, centre)];
            chart
                .draw_series([PathElement::new(points, BLACK.stroke_width(2))])
                .map_err(failed)?;
        }
    }
    root.present().map_err(failed)
}

/// 0.25, 300, 10k, 2M.
fn short(value: &f64) -> String {
    match *value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

fn height(group: &Bars) -> u32 {
    70 + BAR_HEIGHT * u32::try_from(group.bars.len()).unwrap_or(0)
}

/// Charts below charts.
pub fn lines(file: &Path, charts: &[Lines]) -> anyhow::Result<()> {
    let height = LINES_HEIGHT * u32::try_from(charts.len())?;
    let root = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    for (area, chart) in root.split_evenly((charts.len(), 1)).iter().zip(charts) {
        let points = || chart.lines.iter().flat_map(|line| &line.points);
        let mut builder = ChartBuilder::on(area);
        builder
            .caption(&chart.title, ("sans-serif", 16))
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(70);
        let mut plot = builder
            .build_cartesian_2d(
                around(points().map(|point| point.0)).log_scale(),
                around(points().map(|point| point.1)).log_scale(),
            )
            .map_err(failed)?;
        plot.configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.1))
            .x_label_formatter(&short)
            .y_label_formatter(&short)
            .x_desc(&chart.x)
            .y_desc(&chart.y)
            .draw()
            .map_err(failed)?;
        for (place, line) in chart.lines.iter().enumerate() {
            let colour = Palette99::pick(place).to_rgba();
            plot.draw_series(LineSeries::new(
                line.points.iter().copied(),
                colour.stroke_width(2),
            ))
            .map_err(failed)?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
            plot.draw_series(
                line.points
                    .iter()
                    .map(|point| Circle::new(*point, 3, colour.filled())),
            )
            .map_err(failed)?;
        }
        plot.configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .draw()
            .map_err(failed)?;
    }
    root.present().map_err(failed)
}

/// From a little below the least to a little above the most; a logarithm wants more than 0.
fn around(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (mut least, mut most) = (f64::MAX, f64::MIN_POSITIVE);
    for value in values.filter(|value| *value > 0.0) {
        (least, most) = (least.min(value), most.max(value));
    }
    least.min(most) * 0.7..most * 1.5
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}
