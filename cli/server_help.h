// SPDX-License-Identifier: Apache-2.0
//
// The help of a command that takes a server: CLI11 knows its words only as what follows "--".
#pragma once

#include <CLI/App.hpp>
#include <CLI/Formatter.hpp>
#include <string>

namespace auxin::cli {

class ServerHelp : public CLI::Formatter {
 public:
  // `command`: its name.
  explicit ServerHelp(std::string command) : command_(std::move(command)) {}
  std::string make_usage(const CLI::App* app, std::string) const override {
    const bool named = app->get_option_no_throw("NAME") != nullptr;
    std::string usage = "Usage: auxin " + command_ + " [OPTIONS] -- SERVER [ARG]...\n";
    if (named) usage += "       auxin " + command_ + " [OPTIONS] [NAME]\n";
    return usage;
  }

 private:
  std::string command_;
};

}  // namespace auxin::cli
