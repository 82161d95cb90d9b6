// SPDX-License-Identifier: Apache-2.0
//
// A module's own definition of a function that the target library defines as well.
#include "metamarkers/samples/target.h"

extern "C" long sample::c_function(long value) { return value + 1000; }
