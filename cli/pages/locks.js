// SPDX-License-Identifier: Apache-2.0
//
// The page of `auxin locks --html`, from top to bottom.

follow_scheme(by_id("scheme"));
show_summary();
show_request(by_id("request-picture"), by_id("request-tools"), by_id("request-lead"));
flame_graph(by_id("flame"), by_id("flame-tools"));
show_tables();
by_id("foot").textContent =
  "Made by auxin locks. This page is one file, loads nothing and sends nothing.";
document.documentElement.dataset.ready = "yes";
