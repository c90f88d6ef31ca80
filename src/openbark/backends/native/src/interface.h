// The C interface as the library itself sees it: with the classes behind the handles.
#pragma once

#define OB_IMPLEMENTATION
#include "../include/openbark.h"
