#include "control/command_line.h"

int main(int argc, char **argv)
{
    return tg_command_line_run(argc, argv);
}
