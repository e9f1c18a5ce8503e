"use strict";
// Values under the pointer of a chart, and the browser of eigenvectors. The page says the same without this script.
(function () {
  function charts(chart) {
    var value = chart.closest("figure").querySelector(".value");
    var points = Array.prototype.slice.call(chart.querySelectorAll(".pt"));
    var near = null;
    if (!value || !points.length) { return; }
    function leave() {
      if (near) { near.classList.remove("near"); }
      near = null;
      value.textContent = "";
    }
    chart.addEventListener("pointerleave", leave);
    chart.addEventListener("pointermove", function (event) {
      var box = chart.getBoundingClientRect();
      var scale = chart.viewBox.baseVal.width / box.width;
      var x = (event.clientX - box.left) * scale;
      var y = (event.clientY - box.top) * scale;
      var best = null;
      var least = 1600;
      points.forEach(function (point) {
        var across = point.cx.baseVal.value - x;
        var up = point.cy.baseVal.value - y;
        if (across * across + up * up < least) {
          least = across * across + up * up;
          best = point;
        }
      });
      if (best === near) { return; }
      leave();
      if (best) {
        near = best;
        near.classList.add("near");
        value.textContent = near.querySelector("title").textContent;
      }
    });
  }

  function browser(figure) {
    var buttons = Array.prototype.slice.call(figure.querySelectorAll(".grid button"));
    var large = figure.querySelector(".large");
    var said = figure.querySelector(".said");
    var slider = figure.querySelector("input[type=range]");
    var contour = figure.querySelector("input[type=checkbox]");
    function show(index) {
      var small = buttons[index].querySelector("img");
      large.src = small.src;
      large.alt = small.alt;
      said.textContent = buttons[index].dataset.said;
      slider.value = String(index);
      slider.setAttribute("aria-valuetext", buttons[index].dataset.said);
      buttons.forEach(function (button, other) {
        button.setAttribute("aria-pressed", String(other === index));
      });
    }
    buttons.forEach(function (button, index) {
      button.addEventListener("click", function () { show(index); });
      button.addEventListener("keydown", function (event) {
        var step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        var next = index + (step || 0);
        if (!step || next < 0 || next >= buttons.length) { return; }
        event.preventDefault();
        buttons[next].focus();
        show(next);
      });
    });
    slider.addEventListener("input", function () { show(Number(slider.value)); });
    if (contour) {
      contour.addEventListener("change", function () {
        figure.querySelectorAll(".view svg").forEach(function (drawn) {
          drawn.style.display = contour.checked ? "" : "none";
        });
      });
    }
    show(0);
  }

  document.querySelectorAll(".chart").forEach(charts);
  document.querySelectorAll(".browser").forEach(browser);
})();
