#include "http/problem.h"

const char tg_problem_memory[] = "out of memory";
