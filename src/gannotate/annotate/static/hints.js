// A line on the tool at hand, where no message stands; its second part is for mouse and keyboard only.

export const HINTS = {
  brush: ["Drag to label with the chosen class.", "Alt takes labels away; the wheel changes the size."],
  eraser: ["Drag to take labels away.", "The wheel changes the size."],
  polygon: ["Click corners; a click on the first one closes.", "So does Enter; with Alt it takes labels away."],
  fill: ["Click a region of one class to give all of it the chosen one.", ""],
  superpixel: ["Click or drag: patches of one colour get the class.", "With Alt they lose it."],
  wand: ["Click a part: pixels that the generator draws alike are selected.", "Enter labels them, Escape drops them."],
  pick: ["Click a pixel to choose its class.", ""],
  pan: ["Drag the picture.", "The right or middle mouse button does so with any tool."],
};
