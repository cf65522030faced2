//! The picture of a run.

use std::fs;
use std::path::Path;

use plotters::prelude::*;

use crate::Step;

/// Draws CPU time and memory of all jobs over their number.
pub(crate) fn draw(steps: &[Step], file: &Path) {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).expect("a folder");
    }
    let root = SVGBackend::new(file, (900, 380)).into_drawing_area();
    root.fill(&WHITE).expect("a picture");
    let (left, right) = root.split_horizontally(450);
    let points = |of: fn(&Step) -> f64| {
        steps
            .iter()
            .map(|step| (f64::from(step.jobs), of(step)))
            .collect::<Vec<_>>()
    };
    panel(&left, "CPU seconds of sdgroup for all jobs", &[("", points(Step::cpu))]);
    let mib = [
        (
            "while all wait",
            points(|step| step.waiting_kib * f64::from(step.jobs) / 1024.0),
        ),
        ("at most", points(|step| step.most_kib * f64::from(step.jobs) / 1024.0)),
    ];
    panel(&right, "memory of sdgroup's own, MiB", &mib);
    root.present().expect("a picture");
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(area: &Area<'_>, title: &str, lines: &[(&str, Vec<(f64, f64)>)]) {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let most = |of: fn(&(f64, f64)) -> f64| all().map(of).fold(0.0, f64::max) * 1.08;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(38)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..most(|point| point.0), 0.0..most(|point| point.1))
        .expect("a picture");
    chart
        .configure_mesh()
        .x_desc("jobs at once")
        .x_labels(6)
        .draw()
        .expect("a picture");
    for ((name, points), color) in lines.iter().zip([BLUE, RED]) {
        let line = LineSeries::new(points.iter().copied(), color).point_size(3);
        let drawn = chart.draw_series(line).expect("a picture");
        if !name.is_empty() {
            drawn
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
        }
    }
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .draw()
            .expect("a picture");
    }
}
