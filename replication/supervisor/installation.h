// SPDX-License-Identifier: Apache-2.0
//
// Where Auxin's own files are: beside the command, installed or in a build tree, or where AUXIN_
// LIBRARY and AUXIN_MAPS say.
#pragma once

#include <string>
#include <vector>

#include "stmemu/result.h"

namespace auxin::supervisor {

// The absolute path of libauxin.so, fit to stand in LD_PRELOAD. An error is a sentence.
Result<std::string> find_library();

// The absolute path of auxin-restore, which makes processes out of images. An error is a sentence.
Result<std::string> find_restorer();

// The directory of join-point maps; `configured` ("" none) goes before everything else.
Result<std::string> find_map_directory(const std::string& configured);

// Nothing, or a sentence: a map that can't be read, or a server that brings an ORB for which there
// is no map. `libraries`: what the server loads.
std::string map_fault(const std::string& map_directory, const std::string& server,
                      const std::vector<std::string>& libraries);

}  // namespace auxin::supervisor
