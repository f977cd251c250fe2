(function () {
  "use strict";
  // A4 at 96 dots per inch without the margins of the print style sheet, and a height at which two figures fit.
  const PRINT = { width: 680, scale: 0.76 };
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures");
  const templates = read("templates");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];

  const template = () => templates[dark.matches ? "workbench_dark" : "workbench_light"];

  // The room above the plot that the title and the rows of a horizontal legend need at this width.
  function top(figure, width) {
    const layout = figure.layout;
    const given = (layout.margin || {}).t || 76;
    if (layout.showlegend === false || (layout.legend || {}).orientation !== "h") return given;
    const entries = figure.data.filter((trace) => trace.showlegend !== false);
    const needed = entries.reduce((sum, trace) => sum + 50 + 7.5 * String(trace.name || "").length, 0);
    return Math.max(given, 54 + 22 * Math.ceil(needed / Math.max(120, width - 100)));
  }

  function draw(figure, number) {
    const place = document.getElementById("figure-" + (number + 1));
    const text = place.firstElementChild;
    const height = figure.layout.height || 450;
    const margin = Object.assign({}, figure.layout.margin, { t: top(figure, place.clientWidth) });
    const layout = Object.assign({}, figure.layout, { template: template(), autosize: true, height, margin });
    delete layout.width;
    const config = {
      displayModeBar: "hover", displaylogo: false, responsive: true, showSendToCloud: false,
      modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
    };
    place.style.minHeight = height + "px";
    try {
      text.hidden = true;
      Plotly.newPlot(place, figure.data, layout, config).catch((error) => refuse(text, error));
      drawn.push({ place, figure, height });
    } catch (error) {
      refuse(text, error);
    }
  }

  // The text stands in for a figure that cannot be drawn.
  function refuse(text, error) {
    text.hidden = false;
    text.textContent += " (could not be drawn: " + error.message + ")";
  }

  // Figures with a row per symbol are as high as their rows need; the others are lowered, so that two fit on a sheet.
  function printed({ figure, height }) {
    const layout = figure.layout;
    const rows = ["yaxis", "yaxis2"].some((axis) => (layout[axis] || {}).type === "category");
    return rows || (layout.legend || {}).orientation === "v" ? height : Math.round(height * PRINT.scale);
  }

  const relayout = (change) => drawn.forEach((item) => Plotly.relayout(item.place, change(item)));

  if (typeof Plotly !== "undefined") {
    figures.forEach(draw);
    dark.addEventListener("change", () => relayout(() => ({ template: template() })));
    window.addEventListener("resize", () =>
      relayout(({ place, figure }) => ({ "margin.t": top(figure, place.clientWidth) })));
    window.addEventListener("beforeprint", () => relayout((item) => ({
      template: templates.workbench_light, autosize: false, width: PRINT.width,
      height: printed(item), "margin.t": top(item.figure, PRINT.width),
    })));
    window.addEventListener("afterprint", () => relayout(({ place, figure, height }) => ({
      template: template(), autosize: true, width: null, height, "margin.t": top(figure, place.clientWidth),
    })));
  }
})();
