# SPDX-License-Identifier: Apache-2.0
# find_package(auxin) finds the same as find_package(Auxin).
include("${CMAKE_CURRENT_LIST_DIR}/AuxinConfig.cmake")
