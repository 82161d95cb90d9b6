// SPDX-License-Identifier: Apache-2.0
//
// A program that reads the time that its own process has used.
#include <ctime>

int main() { return std::clock() >= 0 ? 0 : 1; }
